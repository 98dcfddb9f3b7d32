"""Programs that import from the former places of modules go on."""

import importlib

import pytest

FORMER = {
    "reann.engines.ase": ("reann.interfaces.ase", "Calculator"),
    "reann.engines.md": ("reann.simulate.md", "run_md"),
    "reann.engines.relax": ("reann.simulate.relax", "relax"),
    "reann.engines.openmm": ("reann.interfaces.openmm", "system_of"),
    "reann.engines.torchsim": ("reann.interfaces.torchsim", "Model"),
    "reann.interfaces.lammps.places": ("reann.interfaces.lammps.installation", "folder"),
    "reann.ipi.driver": ("reann.interfaces.ipi.driver", "Driver"),
}


@pytest.mark.parametrize("former", FORMER)
def test_a_public_name_is_also_at_its_former_place(former):
    for package in {"torchsim": ["torch_sim"], "openmm": ["openmm"], "driver": ["ipi"]}.get(
        former.rpartition(".")[2], []
    ):
        pytest.importorskip(package)
    place, name = FORMER[former]
    assert getattr(importlib.import_module(former), name) is getattr(
        importlib.import_module(place), name
    )
