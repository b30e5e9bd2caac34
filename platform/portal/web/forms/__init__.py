"""Forms of the pages: they read and explain; services decide."""
