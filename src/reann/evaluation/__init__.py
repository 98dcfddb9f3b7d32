"""Predictions beside labels: which keys hold the labels, errors, comparison, the verb evaluate."""
