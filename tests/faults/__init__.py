"""What goes wrong on purpose, and what the platform does about it."""
