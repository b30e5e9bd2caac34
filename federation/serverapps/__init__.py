"""Scripts' own ServerApps at the centre: the machine's sandbox for them, and the engine's end of the pipe to one."""
