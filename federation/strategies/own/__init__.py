"""Strategies that Flower does not have, written on its classes; imported by workers only."""
