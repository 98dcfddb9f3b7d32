"""Conversion of models and data of the original REANN package, without executing them.

`potential` makes a `Potential` from the arrays of a state dict, `convert` implements
``reann convert``: `REANN.pth` with `para/`, or an exported model such as `REANN_PES_DOUBLE.pt` or
`PES.pt` alone -> `.reann`; `configuration` -> extended XYZ.
"""

from reann.upstream.convert import convert
from reann.upstream.weights import potential

__all__ = ["convert", "potential"]
