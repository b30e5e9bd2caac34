"""Boosted trees by bagging."""
