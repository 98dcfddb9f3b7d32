"""The former place of `reann.interfaces.ipi`, which folders exported earlier import."""
