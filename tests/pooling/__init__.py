"""Pooled rows at the portal."""
