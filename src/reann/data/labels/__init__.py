"""Labels of structures: their keys, units and values."""
