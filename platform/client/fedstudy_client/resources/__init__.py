"""The parts of the client, one for each kind of thing in the portal."""
