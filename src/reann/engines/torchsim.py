"""The former place of `reann.interfaces.torchsim`, for programs that import it from here."""

from reann.interfaces.torchsim import Model

__all__ = ["Model"]
