"""A folder with the benchmark, the package and what this imports, for another machine."""

from __future__ import annotations

import shutil
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

IMPORTED = (
    "annotated_types",
    "ase",
    "jaxtyping",
    "pydantic",
    "pydantic_core",
    "safetensors",
    "typing_extensions",
    "typing_inspection",
    "vesin",
)
"""Beside PyTorch, NumPy and Triton. ASE needs SciPy for what is not measured."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "test", "tests", "gui", "*.pyi", "results")
MOST = 64 * 2**20
"""Bytes."""


def packed(root: Path, folder: Path) -> str:
    """Copy what the benchmark needs; return the command that runs it there."""
    shutil.copytree(root / "src", folder / "src", ignore=LEFT_OUT)
    (folder / "benchmarks").mkdir()
    shutil.copy2(root / "benchmarks" / "gpu.py", folder / "benchmarks")
    shutil.copytree(root / "benchmarks" / "gpu", folder / "benchmarks" / "gpu", ignore=LEFT_OUT)
    for name in IMPORTED:
        _copy(name, folder / "benchmarks" / "packages")
    size = sum(x.stat().st_size for x in folder.rglob("*") if x.is_file())
    if size > MOST:
        raise RuntimeError(f"{folder} has {size / 2**20:.0f} MiB; at most 64 are carried.")
    return f"{size / 2**20:.0f} MiB. There: python {folder.name}/benchmarks/gpu.py"


def _copy(name: str, packages: Path) -> None:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"The package {name} is not installed.")
    source = Path(spec.origin)
    packages.mkdir(exist_ok=True)
    # Packages ask for their versions.
    for file in metadata.files(name.replace("_", "-")) or ():
        if file.name == "METADATA":
            about = Path(str(file.locate()))
            (packages / about.parent.name).mkdir()
            shutil.copy2(about, packages / about.parent.name)
    if source.name == "__init__.py":
        shutil.copytree(source.parent, packages / name, ignore=LEFT_OUT)
    else:
        shutil.copy2(source, packages)
