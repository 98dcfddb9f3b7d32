"""The cache of a data set: built from files in one pass, memory-mapped afterwards."""
