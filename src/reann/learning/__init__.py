"""Active learning: explore with the potential, choose structures, label them, train again."""
