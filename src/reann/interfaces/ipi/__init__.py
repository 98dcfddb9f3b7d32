"""i-PI: path integrals and advanced sampling, with a potential as its driver."""
