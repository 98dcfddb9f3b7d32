"""Former places of `reann.interfaces` and `reann.simulate`."""
