"""`reann doctor`: findings about the installation, advice, exit code."""

import os
import platform
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from reann import doctor, native
from reann.cli import app


def of(name: str) -> doctor.Finding:
    return next(finding for finding in doctor.examine() if finding.name == name)


def test_findings_are_those_of_this_computer():
    assert of("Python").value.startswith(platform.python_version())
    assert of("torch").value == metadata.version("torch")
    assert of("ase").is_required
    assert of("GPU").is_usable == torch.cuda.is_available()
    assert of("engine native").is_usable == native.available()
    if native.available():
        assert native.core().isa() in of("engine native").value


def test_extras_are_those_of_the_package():
    names = {finding.name for finding in doctor.examine()}
    assert {"dispersion", "learn", "phonons", "LAMMPS"} <= names
    assert not {"dev", "docs"} & names


def test_an_absent_extra_is_no_error_and_names_its_command(monkeypatch):
    version = doctor.installed_version
    monkeypatch.setattr(
        doctor, "installed_version", lambda name: None if name == "phonopy" else version(name)
    )
    phonons = of("phonons")
    assert (phonons.is_usable, phonons.fix) == (False, "pip install 'reann[phonons]'")
    assert not phonons.is_required


@pytest.mark.parametrize("version", [None, "0.1"])
def test_an_absent_or_old_package_is_an_error(monkeypatch, version):
    monkeypatch.setattr(doctor, "installed_version", lambda name: version)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "pip install 'torch>=" in result.output
    assert "Missing or broken: " in result.output


def test_an_engine_that_is_missing_is_named_with_its_repair(monkeypatch):
    monkeypatch.setattr(native, "missing", lambda: "it was not compiled")
    result = CliRunner().invoke(app, ["doctor"])
    assert "it was not compiled" in result.output
    assert "pip install --force-reinstall" in result.output


def test_an_instruction_set_that_the_user_requires_is_marked(monkeypatch):
    monkeypatch.setattr(native, "missing", lambda: None)
    core = SimpleNamespace(isa=lambda: "v3", levels=lambda: ["v4", "v3", "baseline"])
    monkeypatch.setattr(native, "core", lambda: core)
    monkeypatch.setenv("REANN_ISA", "v9")
    assert of("engine native").value == "instruction set v3, available: v4, v3, baseline"
    monkeypatch.setenv("REANN_ISA", "v3")
    assert "v3 (REANN_ISA), available" in of("engine native").value


def test_processors_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    value = of("processors").value
    assert value.startswith(f"{os.cpu_count()}, {len(os.sched_getaffinity(0))} available")
    assert value.endswith("(OMP_NUM_THREADS=3)")


def test_info_system_is_the_same_command():
    runner = CliRunner()
    assert runner.invoke(app, ["info", "--system"]).output == runner.invoke(app, ["doctor"]).output


def test_the_command_fits_80_columns_and_succeeds():
    result = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert "All required parts work." in result.output
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("installed", "version", "enough"),
    [
        ("2.10.1", ">=2.9", True),
        ("2.5.0+cpu", ">=2.5", True),
        ("1.26", ">=2", False),
        ("1", "", True),
    ],
)
def test_versions_are_compared_as_numbers(installed, version, enough):
    assert doctor.is_at_least(installed, version) == enough


def test_completion_is_offered():
    result = CliRunner().invoke(app, ["--help"])
    assert "--install-completion" in result.output
    assert CliRunner().invoke(app, ["--version"]).output == f"reann {metadata.version('reann')}\n"
