"""metatomic: a file with the model, for programs that support metatomic."""
