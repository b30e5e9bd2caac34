"""Boosted trees, joined by bagging."""
