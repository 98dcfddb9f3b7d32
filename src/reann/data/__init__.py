"""From files of structures to graphs: read, label, find neighbors, split, describe."""
