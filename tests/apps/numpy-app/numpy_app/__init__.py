"""Logistic regression in plain NumPy, with a loop of its own."""
