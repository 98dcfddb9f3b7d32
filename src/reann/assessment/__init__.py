"""Is a potential good? The tests that a referee would request, each with figure and verdict."""
