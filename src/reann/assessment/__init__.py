"""Is a potential good: the checks that a referee asks for, each with figure and verdict."""
