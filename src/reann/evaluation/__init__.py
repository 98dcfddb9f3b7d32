"""Comparison of predictions with labels: keys of the labels, errors, `reann evaluate`."""
