"""Histograms of a table that stays where it is."""
