"""Pooled rows: at a site, what leaves and how it is sealed; at a pool node, how it is opened and offered to scripts."""
