"""The whole stack: real processes, real sockets, the public API."""
