"""Training: loss, optimization, the loop, and everything that makes a run survive."""
