"""Files of structures, read one structure at a time."""
