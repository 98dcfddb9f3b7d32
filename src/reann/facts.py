"""Constants shared by Python and the C++ engine; `make facts` writes `core/facts.hpp` from them.

In C++, the name of a constant is in lower case, and a choice becomes an `enum class` with a list of
its names. The header also contains the chemical symbols and covalent radii of ASE. It is part of
the repository because the engine is compiled before this package can be imported.
"""

from __future__ import annotations

from typing import Final, Literal

# --- files ------------------------------------------------------------------------------------

FORMAT_VERSION: Final = 3
"""Format of the files that this program writes, and newest format that it reads."""
LARGEST_FILE: Final = 2**31
"""Bytes; far more than a potential or a checkpoint has."""
LARGEST_HEADER: Final = 100_000_000
"""Bytes, as in safetensors."""
DEEPEST_HEADER: Final = 32
"""Objects and lists inside each other."""
LENGTH_UNIT: Final = "Ang"
ENERGY_UNIT: Final = "eV"

RENAMED: Final[dict[int, dict[str, str]]] = {
    1: {
        "orbital_coefficients": "recursion.weights",
        "coefficient_scale": "recursion.update_scale",
        "density_mean": "recursion.feature_mean",
        "density_scale": "recursion.feature_scale",
        "updates.": "recursion.updates.",
        "messages.": "recursion.messages.",
        "radial.": "recursion.host.radial.",
        "density.": "recursion.host.density.",
    },
    2: {
        "recursion.weights": "recursion.update.weights",
        "recursion.update_scale": "recursion.update.scale",
        "recursion.updates.": "recursion.update.networks.",
        "recursion.messages.": "recursion.update.moments.",
        "readout.": "heads.energy.readout.",
        "reference_energies": "heads.energy.reference_energies",
        "energy_scale": "heads.energy.energy_scale",
    },
}
"""Beginnings of tensor names that the next version of the format replaces, by version."""

# --- choices of the configuration -------------------------------------------------------------

Activation = Literal["silu", "relu_like", "tanh_like"]
Angular = Literal["unit", "raw"]
CutoffFunction = Literal["squared_cosine", "polynomial"]
Features = Literal["gram", "many_body", "orbitals"]
Messages = Literal["scalar", "directional", "equivariant"]
Precision = Literal["float32", "float64"]
"""Precision of the networks."""
Radial = Literal["neighbor", "pair"]
RadialBasis = Literal["bessel", "gaussian"]
RadialWidth = Literal["softplus", "free"]

# Files of earlier versions lack these fields and are read with these values, which must stay.
DEFAULT_HOST: Final = "density"
FIELD_DENSITY: Final = "field_density"
"""The host that has an electric field."""
DEFAULT_MESSAGES: Final[Messages] = "scalar"
DEFAULT_HEAD: Final = "energy"
DEFAULT_BASIS: Final[RadialBasis] = "bessel"

HIGHEST_L_MAX: Final = 4
"""Largest `l_max`."""
EQUIVARIANT_L_MAX: Final = 3
"""Largest `l_max` with equivariant messages."""
LEAST_LIMIT: Final = 0.1
"""Minimum of `moment_limit`, in units of the root mean square of the moments."""
MOST_BASIS: Final = 64
"""Radial functions with equivariant messages: the engine keeps those of a pair in registers."""
ORBITALS_OF_MANY: Final = 16
"""Default number of contracted moments in products of three and four moments."""

# --- structures -------------------------------------------------------------------------------

HEAVIEST: Final = 118
"""Largest atomic number."""
SHORTEST_DISTANCE: Final = 1e-3
"""Å; atoms closer than this are the same atom twice."""
FLATTEST_CELL: Final = 1e-6
"""Smallest volume spanned by the periodic lattice vectors, in units of their lengths."""

# --- the model --------------------------------------------------------------------------------

GAUSSIAN_MARGIN: Final = 0.6
"""Å from zero and from the cutoff to the outermost Gaussians at the start."""
GAUSSIAN_WIDTH: Final = 0.6
"""Å, least standard deviation of a Gaussian at the start."""
LAYER_NORM_EPSILON: Final = 1e-5
"""Added to the variance in layer normalization."""
RANGE_ROUNDING: Final = 1e-4
"""Distance from a range that counts as rounding, in units of the feature's scale."""

ZBL_COULOMB: Final = 14.399645478425668
"""e^2 / (4 pi eps0) in eV Å."""
ZBL_AMPLITUDES: Final = (0.18175, 0.50986, 0.28022, 0.02817)
ZBL_DECAYS: Final = (3.19980, 0.94229, 0.40290, 0.20162)
ZBL_EXPONENT: Final = 0.23
"""Exponent of the atomic numbers in the screening length."""
ZBL_LENGTH: Final = 0.46850
"""Å, numerator of the screening length."""
ZBL_LARGEST_INNER: Final = 0.9
"""Largest distance of full repulsion, in cutoffs."""

REPULSION_WIDTH: Final = 0.3
"""Within which the network's forces fade on pairs closer than those of the training, in units of
the shortest distance there."""
