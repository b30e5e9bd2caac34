"""Tests of the stack that the demo and the tests stand on."""
