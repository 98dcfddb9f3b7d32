"""Names of keys: the label that is read under a key, or that a key probably holds.

Only a few names are read automatically; many others suggest a label, so that the user is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from reann import quantities


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_METHOD = r"(?:dft|ref|reference|target|true|qm|total|tot|label|pbe|pbe0|scan|cc|ccsdt?)"
_NAMED = {"weight": ("weight", "config_weight"), "group": ("config_type", "group"), "head": ()}
"""Names that are read, in lower or upper case."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FILLERS = word_set(
    "dft ref reference target true qm total tot label labels pbe pbe0 pbesol scan rscan r2scan"
    " blyp b3lyp wb97 wb97x wb97m revpbe rpbe lda gga hf mp2 cc ccsd ccsdt casscf xtb dftb ani vasp"
    " cp2k qe orca psi4 gaussian castep aims abinit gpaw siesta ab initio calc calculated computed"
    " scf final new old raw all free corrected el elec electronic d3 d4 level high low x y z xyz"
    " mean system sys structure per cell internal real value val"
    " ev v ha hartree bohr ry kcal mol kj ang angstrom gpa kbar"
)
"""Words that may accompany a short name of a label, such as `E`."""
_LONG = {
    "energy": word_set(
        "energy energies ener nrg enrg etot etotal totale epot poteng pe0 toten toteng edft eref"
        " escf efinal hamiltonian"
    ),
    "forces": word_set(
        "force forces frc fxyz fdft fref ftot grad grads gradient gradients egrad engrad"
    ),
    "virial": frozenset({"virial", "virials", "vir"}),
    "stress": frozenset({"stress", "stresses"}),
    "weight": frozenset({"weight", "weights", "wgt"}),
    "group": frozenset({"group", "groups", "configtype"}),
}
"""Words that suggest a label together with any other words."""
_INNER = {"energy": "energy", "forces": "force", "virial": "virial", "stress": "stress"}
_SHORT = {
    "energy": frozenset({"e", "en", "ene", "u", "u0", "pe", "pot"}),
    "forces": frozenset({"f", "fs"}),
    "stress": frozenset({"str", "sigma", "pressure", "press", "tensor", "p"}),
    "weight": frozenset({"w", "wt"}),
}
"""Words that suggest a label only alone or together with fillers."""
_OTHER = {
    "energy": word_set(
        "kinetic kin ke zero zpe point fermi gap band homo lumo cutoff cut ecut encut smearing"
        " dispersion disp vdw coulomb electrostatic nuclear repulsion ewald xc exchange"
        " correlation correction ionization excitation excited hull level density decomposition"
        " difference diff shift offset conserved drift range step threshold tolerance tol"
        " convergence barrier surface thermal field atom atoms atomic"
    ),
    "forces": word_set(
        "constant constants density charge electric magnetic mag spin field random friction"
        " constraint fmax max rms norm threshold tolerance tol convergence"
    ),
    "stress": frozenset({"strain"}),
    "virial": frozenset({"coefficient"}),
    "weight": word_set("molecular molar mol atomic mass percent fraction kpt kpts kpoint kpoints"),
    "group": word_set("space spacegroup point pointgroup symmetry number functional"),
}
"""Words that indicate a different quantity, for each label."""
_NO_LABEL = word_set(
    "committee std stdev stddev var variance unc uncertainty uncert error err errors rmse mae"
    " sigma mask unit units pred preds predicted prediction predictions reann hessian momenta"
    " momentum velocity velocities vel position positions displacement displacements magmom"
    " magmoms dipole dipoles polarizability charges temperature temp time"
)
"""Words that exclude all labels."""
_UNITS = {
    **dict.fromkeys(("ha", "hartree", "eh"), "Hartree"),
    "au": "a.u.",
    **dict.fromkeys(("ry", "rydberg"), "Rydberg"),
    **{name.lower(): name for name in ("meV", "GPa", "kbar", "bar", "MPa", "Pa", "atm")},
    "kcal": "kcal/mol",
    "kj": "kJ/mol",
    "debye": "Debye",
}
"""Words in a name that indicate the unit."""
_DERIVATIVE = re.compile(r"(?:^|[^a-z])d(?:e|energy)[_/ ]?d(?:r|x|q|pos|xyz)(?:[^a-z]|$)")
_OPPOSITE = word_set("grad grads gradient gradients egrad engrad pressure press p")


def all_names() -> tuple[str, ...]:
    """Return all names for which keys are detected: forms of labels, weight, group and head."""
    return *quantities.readable(), *_NAMED


@cache
def _pattern(name: str) -> re.Pattern[str]:
    stem = quantities.named(name).aliases or re.escape(name)
    return re.compile(rf"(?:{_METHOD}[_-]?)*(?:{stem})(?:[_-]?{_METHOD})*", re.IGNORECASE)


def names_of(label: str, keys: Iterable[str]) -> list[str]:
    """Return the keys that may hold a label, with the canonical name first."""
    if label in _NAMED:
        order = _NAMED[label]
        return sorted((k for k in keys if k.lower() in order), key=lambda k: order.index(k.lower()))
    if not quantities.named(label).is_sought:
        return []
    return sorted((k for k in keys if _pattern(label).fullmatch(k)), key=lambda k: (k != label, k))


def label_read(key: str) -> str | None:
    """Return the label that is read automatically under a key; None if there is none."""
    return next((label for label in all_names() if names_of(label, [key])), None)


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: ``TotEnergy_dft`` gives tot, energy, dft."""
    return tuple(word.lower() for word in _WORD.findall(name))


def label_meant(name: str) -> str | None:
    """Return the label that the name of a key suggests; None if there is none.

    The label is one of energy, forces, stress, virial, weight, group. A weight or a deviation of a
    label (`energy_weight`, `force_sigma`) is neither that label nor the weight of a structure.
    """
    words = set(words_of(name))
    if _DERIVATIVE.search(name.lower()):
        return "forces"
    if {"config", "type"} <= words:
        return "group"
    long = [label for label in _LONG if words & _LONG[label] or _holds_stem(label, words)]
    if long in (["energy", "forces"], ["virial", "stress"]):  # energy_gradient, virial_stress
        del long[0]
    if long:
        label = long[0]
        excluded = _OTHER[label] - ({"atom"} if "per" in words else set()) | _NO_LABEL
        return None if len(long) > 1 or words & excluded else label
    if words & (_NO_LABEL - {"sigma"}):
        return None
    for label, short in _SHORT.items():
        if words & short and all(word.isdigit() for word in words - short - _FILLERS):
            return label
    return None


def is_per_atom(name: str) -> bool:
    """Return whether the name suggests a quantity per atom."""
    return {"per", "atom"} <= set(words_of(name))


def unit_of_name(name: str) -> str | None:
    """Return the unit in a name such as ``stress_GPa``; None if there is none or it is eV or Å."""
    words = re.split(r"[\W_]+", name.lower().rstrip(")]"))
    return next((_UNITS[word] for word in words[1:] if word in _UNITS), None)


def _holds_stem(label: str, words: set[str]) -> bool:
    """Return whether a word contains the label without separators, such as ``dftenergy``."""
    stem = _INNER.get(label)
    return stem is not None and any(stem in word for word in words)


def has_opposite_sign(name: str) -> bool:
    """Return whether the name suggests a gradient or a pressure: minus forces, minus stress."""
    return bool(_DERIVATIVE.search(name.lower()) or set(words_of(name)) & _OPPOSITE)
