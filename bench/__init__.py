"""Measurements against other systems, made in one run on one machine and told as ratios."""
