"""Labels of chosen structures: by an ASE calculator, or by files of an external program."""
