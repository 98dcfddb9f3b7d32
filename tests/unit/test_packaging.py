"""What the package imports is what it asks pip for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
ROOT = Path(__file__).parents[2]
METATOMIC = {"metatensor", "metatomic", "metatomic_ase"}
LEARN = {"dask", "dask_jobqueue", "distributed", "psutil", "tblite"}
CRYSTALS = {"phonopy", "spglib"}
PROGRAMS = {
    "IPython",
    "dftd3",
    "dftd4",
    "ipi",
    "openmm",
    "torch_sim",
    "triton",
    "wandb",
    "tensorboard",
}
OPTIONAL = PROGRAMS | LEARN | CRYSTALS | METATOMIC


def imported() -> set[str]:
    """Return the top-level names of all imports below src/reann, also those inside functions."""
    found: set[str] = set()
    for file in (ROOT / "src" / "reann").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"reann"}


def test_every_import_is_a_declared_dependency_and_the_other_way_round():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=\[;]", line)[0].lower() for line in project["dependencies"]}
    distributions = packages_distributions()
    needed = {
        distributions.get(name, [name])[0].lower() for name in imported() if name not in OPTIONAL
    }
    assert needed == declared


def test_the_version_is_that_of_the_changelog_and_of_the_citation():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newest = re.search(r"^## (\S+) \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert newest
    assert newest[1] == project["version"] == citation["version"]
    assert newest[2] == str(citation.get("date-released", "unreleased"))


def test_the_recipe_for_conda_forge_has_the_version_and_the_dependencies_of_the_package():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == project["version"]
    assert recipe["about"]["summary"] == project["description"]
    names = {"torch": "pytorch", "vesin": "python-vesin"}  # those of conda-forge
    split = [re.split(r"(?=[<>=])", line, maxsplit=1) for line in project["dependencies"]]
    needed = [f"{names.get(name, name)} {versions}" for name, versions in split]
    assert recipe["requirements"]["run"] == ["python", *needed]
    build = [re.sub(r"(?=>=)", " ", line) for line in pyproject["build-system"]["requires"]]
    assert set(build) <= {x for x in recipe["requirements"]["host"] if isinstance(x, str)}
    assert all((ROOT / file).exists() for file in recipe["tests"][1]["files"]["source"])


def test_a_public_name_stays_what_it_is_after_its_first_use():
    """A module of the same name would take its place once it is imported."""
    program = """import reann
for name in reann.__all__:
    assert getattr(reann, name) == getattr(reann, name), name
"""
    subprocess.run([sys.executable, "-c", program], check=True)
