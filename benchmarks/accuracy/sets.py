"""The data sets: files, which structures train, validate and test, and what others reached.

Valid and test are lists of positions in the training files, drawn once by `draw` and kept in
`splits/`. Test structures choose nothing: neither the best epoch, nor a setting.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import ase.io
import numpy as np

SPLITS = Path(__file__).parent / "splits"
SEED = 20261124


@dataclass(frozen=True)
class DataSet:
    """One set of structures with its labels."""

    title: str
    kind: str
    """molecule, liquid, solid or surface."""
    source: str
    """Repository and commit that the structures come from, converted to eV and Å."""
    files: tuple[str, ...]
    """Training files below the data folder, in reading order."""
    valid: int
    """Structures drawn for validation."""
    test: int
    """Structures drawn for the test; 0 where `tests` has a file of its own."""
    tests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Further tests: name and files."""
    energy: str = "meV/atom"
    """meV or meV/atom, as the literature of the set has it."""
    measure: str = "rmse"
    """rmse or mae, as the literature of the set has it."""
    settings: tuple[str, ...] = ()
    """What differs from a preset for this set, such as a cutoff."""
    published: dict[str, str] = field(default_factory=dict)
    """Errors of others and where they stand: energy / forces in the units of the table."""

    def train_files(self, data: Path) -> list[str]:
        """Return the training files, which must be there."""
        return [str(data / file) for file in self.files]


_RMD17 = {
    "MACE": "2.2 / 6.6 (950 + 50 structures; arXiv 2206.07697)",
    "BOTNet": "– / 8.5 (950 + 50 structures; arXiv 2205.06643; secondary source)",
}
_3BPA = {
    "NequIP": "3.3 / 10.8 (450 + 50 structures, official test; README of nequip-eqx)",
    "MACE": "2.8 / – (450 + 50 structures, official test; arXiv 2206.07697; secondary source)",
    "CACE": "6.3 / – (450 + 50 structures, official test; arXiv 2402.07472; secondary source)",
}
_WATER = {"REANN": "0.8 / 53 (1393 structures; PRL 127, 156002; secondary source)"}

SETS: dict[str, DataSet] = {
    "acac": DataSet(
        "Acetylacetone, 300 K",
        "molecule",
        "davkovacs/BOTNet-datasets 29e6d46",
        ("acac/train_300K.xyz.gz",),
        valid=50,
        test=50,
        tests={"600 K": ("acac/train_600K.xyz.gz",)},
        energy="meV",
    ),
    "ethanol": DataSet(
        "Ethanol, rMD17",
        "molecule",
        "davkovacs/BOTNet-datasets 29e6d46",
        ("ethanol-rmd17/train.xyz.gz",),
        valid=50,
        test=100,
        energy="meV",
        measure="mae",
    ),
    "aspirin": DataSet(
        "Aspirin, rMD17",
        "molecule",
        "ACEsuit/mace-jax 9fe59d9",
        ("aspirin-rmd17/train.xyz.gz",),
        valid=50,
        test=0,
        tests={"test": ("aspirin-rmd17/val.xyz.gz", "aspirin-rmd17/extra.xyz.gz")},
        energy="meV",
        measure="mae",
        published=_RMD17,
    ),
    "aspirin-50": DataSet(
        "Aspirin, rMD17, 50 structures",
        "molecule",
        "ACEsuit/mace-jax 9fe59d9",
        ("aspirin-rmd17/train.xyz.gz",),
        valid=100,
        test=850,
        tests={"test": ("aspirin-rmd17/val.xyz.gz", "aspirin-rmd17/extra.xyz.gz")},
        energy="meV",
        measure="mae",
        settings=("training.batch_size=5",),
        published={
            "MACE": "17.0 / 43.9 (50 other structures; arXiv 2206.07697)",
            "NequIP": "19.5 / 52.0 (50 other structures; arXiv 2206.07697)",
        },
    ),
    "aspirin-ccsd": DataSet(
        "Aspirin, CCSD",
        "molecule",
        "THGLab/NewtonNet 61c8fee",
        ("md17-coupled-cluster/aspirin_ccsd_train.xyz.gz",),
        valid=50,
        test=100,
        energy="meV",
        measure="mae",
    ),
    "3bpa": DataSet(
        "3BPA, 300 K",
        "molecule",
        "davkovacs/BOTNet-datasets 29e6d46",
        ("3bpa/train_300K.xyz.gz",),
        valid=50,
        test=50,
        tests={"300 to 1200 K": ("3bpa/mixedT_dev.xyz.gz",)},
        energy="meV",
        published=_3BPA,
    ),
    "ch4": DataSet(
        "Random CH4",
        "molecule",
        "zhangylch/Equivariant-NN-based-on-the-soap-like-feature dfa0eff",
        ("ch4-random/train_reann_2500.xyz.gz",),
        valid=125,
        test=0,
        tests={"test": ("ch4-random/pool_ef.xyz.gz",)},
        energy="meV",
    ),
    "co2-ni100": DataSet(
        "CO2 on Ni(100)",
        "surface",
        "zhangylch/REANN 6ca3928",
        ("co2-ni100/train.xyz.gz",),
        valid=50,
        test=0,
        tests={"test": ("co2-ni100/val.xyz.gz",)},
        energy="meV",
    ),
    "water-pbe0": DataSet(
        "Water, PBE0-TS",
        "liquid",
        "deepmodeling/deepmd-kit bc902da",
        ("water-pbe0-deepmd/train.xyz.gz",),
        valid=20,
        test=40,
    ),
    "water-revpbe0": DataSet(
        "Water, revPBE0-D3",
        "liquid",
        "zhangylch/Equivariant-MPNN 938ddae, c549366",
        ("water-revpbe0-d3/train.xyz.gz",),
        valid=10,
        test=0,
        tests={"test": ("water-revpbe0-d3/val.xyz.gz",)},
        published=_WATER,
    ),
    "water-ice": DataSet(
        "Water and ice, RPBE-D3",
        "liquid",
        "CompPhysVienna/n2p2 477c9db",
        ("water-ice-rpbe-d3/train.xyz.gz",),
        valid=15,
        test=36,
    ),
    **{
        name.lower(): DataSet(
            title,
            "solid",
            f"materialsvirtuallab/mlearn 10c427a{note}",
            (f"{folder}/{name}_train.xyz.gz",),
            valid=15,
            test=25,
        )
        for name, title, folder, note in (
            ("Si", "Silicon", "mlearn-corrected", ", stresses corrected by stresses.py"),
            ("Ge", "Germanium", "mlearn-corrected", ", stresses corrected by stresses.py"),
            ("Li", "Lithium", "mlearn-zuo2020", ""),
            ("Mo", "Molybdenum", "mlearn-zuo2020", ""),
        )
    },
    "inp": DataSet(
        "InP with defects",
        "solid",
        "FitSNAP/FitSNAP 1a9b050",
        ("inp-snap2020/train.xyz.gz",),
        valid=100,
        test=200,
    ),
}


def split_file(name: str, part: str) -> Path:
    """Return the file with the positions of a part."""
    return SPLITS / f"{name}.{part}.json"


def draw(name: str, data: Path) -> None:
    """Draw valid and test of a set, equal structures on one side, and write the lists."""
    dataset = SETS[name]
    frames = [
        atoms
        for file in dataset.train_files(data)
        for atoms in ase.io.read(file, ":", format="extxyz")
    ]
    same: dict[str, list[int]] = {}
    for index, atoms in enumerate(frames):
        arrays = [atoms.numbers, atoms.positions.round(6), np.asarray(atoms.cell).round(6)]
        key = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
        same.setdefault(key.hexdigest(), []).append(index)
    wholes = list(same.values())
    order = iter(np.random.default_rng(SEED).permutation(len(wholes)).tolist())
    for part, size in (("valid", dataset.valid), ("test", dataset.test)):
        chosen: list[int] = []
        while len(chosen) < size:
            chosen += wholes[next(order)]
        if chosen:
            split_file(name, part).write_text(json.dumps(sorted(chosen)) + "\n")
