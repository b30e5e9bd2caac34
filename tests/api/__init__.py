"""Tests of the REST API, against a real PostgreSQL."""
