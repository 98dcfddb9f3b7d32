"""metatomic: a file with the model inside, for the programs that read those."""
