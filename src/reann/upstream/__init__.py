"""Models and data of the original REANN package, read and never executed.

`potential` makes a `Potential` of the arrays of a state dict, `convert` is the command behind
``reann convert``: `REANN.pth` with `para/`, or an exported model such as `REANN_PES_DOUBLE.pt` or
`PES.pt` alone -> `.reann`; `configuration` -> extended XYZ.
"""

from reann.upstream.convert import convert
from reann.upstream.weights import potential

__all__ = ["convert", "potential"]
