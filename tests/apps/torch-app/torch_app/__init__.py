"""A small network in PyTorch, with a strategy of its own."""
