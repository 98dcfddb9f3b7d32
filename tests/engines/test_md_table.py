"""The numbers that md and relax print are right, have units, and fit a terminal."""

from __future__ import annotations

import itertools
import re

import ase.io
import numpy as np
import pytest
from ase import units

from reann.errors import UserError
from reann.potential import Ensemble
from reann.simulate import md_table
from reann.simulate.md import run_md
from reann.simulate.monitor import ExplosionError
from reann.simulate.relax import relax


@pytest.fixture
def ensemble(new_potential) -> Ensemble:
    return Ensemble([new_potential(seed=s, zbl={}) for s in range(3)])


def table(text: str) -> dict[str, list[str]]:
    """Return the columns of a printed table by name and unit."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.split()[:1] in (["time"], ["step"]))
    names, unit_names = lines[first].replace("max force", "force").split(), lines[first + 1].split()
    unit_names = [""] * (len(names) - len(unit_names)) + unit_names
    rows = []
    for line in lines[first + 2 :]:
        if len(line.split()) != len(names):
            break
        rows.append(line.split())
    heads = [f"{n} {u}".strip() for n, u in zip(names, unit_names, strict=True)]
    return dict(zip(heads, map(list, zip(*rows, strict=True)), strict=True))


@pytest.mark.parametrize("kind", ["nve", "langevin", "npt"])
def test_a_table_fits_80_columns(ensemble, box, kind, capsys):
    pressure = -123456.0 if kind == "npt" else None
    run_md(ensemble, box, temperature=300.0, time=2.0, ensemble=kind, pressure=pressure)
    out = capsys.readouterr().out
    assert len(out.splitlines()) >= 8
    assert max(map(len, out.splitlines())) <= 80
    assert "spread eV/Å" in table(out)


def test_the_speeds_follow_from_clock_and_time_step(potential, box, monkeypatch, capsys):
    ticks = itertools.count()
    monkeypatch.setattr("reann.simulate.md_loop.clock.perf_counter", lambda: 0.02 * next(ticks))
    # A tick of 20 ms passes between two rows, which are 2 steps apart: 100 steps per second.
    run_md(potential, box, temperature=300.0, time=20.0, timestep=0.5, ensemble="nve")
    columns = table(capsys.readouterr().out)
    assert columns["time ps"] == [f"{0.001 * i:.3f}" for i in range(21)]
    assert columns["speed steps/s"][1:] == ["100.0"] * 20
    # 100 steps of 0.5 fs each second are 50 fs/s; a day has 86400 s: 4.32e6 fs = 4.32 ns.
    assert columns["speed ns/day"][1:] == ["4.320"] * 20
    # 10 ms for a step of 9 atoms are 1111.1 µs for each.
    assert columns["cost µs/atom"][1:] == ["1111.1"] * 20
    assert columns["speed steps/s"][0] == columns["cost µs/atom"][0] == "–"


def test_speeds_in_other_units():
    # A thousand steps of 2 fs each second: 2 ps/s, and 172.8 ns in the 86400 s of a day.
    assert md_table.ns_per_day(1000.0, 2.0) == pytest.approx(172.8)
    assert md_table.microseconds_per_atom(1000.0, 10) == pytest.approx(100.0)


def test_pressure_volume_and_density_are_those_of_the_structures(potential, box, tmp_path, capsys):
    box.set_masses([15.999 if z == 8 else 2.014 for z in box.numbers])
    output = tmp_path / "md.traj"
    settings = {"ensemble": "npt", "pressure": 5e4, "timestep": 1.0, "interval": 1}
    done = run_md(potential, box, temperature=300.0, time=10.0, output=output, **settings)
    out = capsys.readouterr().out
    columns, frames = table(out), ase.io.read(output, ":")
    assert len(frames) == len(done.pressure) == len(done.volume) == 11
    for i, atoms in enumerate(frames):
        stress = potential.predict(atoms, ["stress"])["stress"]
        momenta, masses = atoms.get_momenta(), atoms.get_masses()
        ideal = np.einsum("ix,ix,i->", momenta, momenta, 1.0 / masses) / atoms.get_volume()
        gigapascal = 160.2176634 * (ideal - np.trace(stress)) / 3.0
        assert done.pressure[i] == pytest.approx(1e4 * gigapascal, rel=1e-6)
        assert float(columns["pressure bar"][i]) == pytest.approx(done.pressure[i], abs=0.51)
        assert float(columns["volume Å³"][i]) == pytest.approx(atoms.get_volume(), abs=0.051)
        grams = (3 * 15.999 + 6 * 2.014) / 6.02214076e23
        density = grams / (atoms.get_volume() * 1e-24)
        assert float(columns["density g/cm³"][i]) == pytest.approx(density, abs=5.1e-5)
    # The first fifth of 11 values is left out.
    said = re.search(r"without the first 0\.002 ps: (.*)\.$", out, re.MULTILINE)[1]
    kelvin, bar, grams = (float(part.split()[0]) for part in said.split(", "))
    assert kelvin == pytest.approx(done.temperature[2:].mean(), abs=0.51)
    assert bar == pytest.approx(done.pressure[2:].mean(), abs=0.51)
    assert grams == pytest.approx(np.mean(np.array(columns["density g/cm³"][2:], float)), abs=1e-3)


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_the_spread_of_an_ensemble_is_shown(ensemble, box, tmp_path, engine, capsys):
    output = tmp_path / "md.traj"
    settings = {"time": 3.0, "timestep": 1.0, "interval": 1, "engine": engine}
    run_md(ensemble, box, temperature=300.0, output=output, **settings)
    spreads = table(capsys.readouterr().out)["spread eV/Å"]
    for atoms, spread in zip(ase.io.read(output, ":"), spreads, strict=True):
        members = [member.predict(atoms, ["forces"])["forces"] for member in ensemble.members]
        lengths = np.linalg.norm(np.std(members, axis=0, ddof=1), axis=1)
        assert float(spread) == pytest.approx(lengths.max(), abs=5.1e-4)


def test_a_large_spread_stops_the_run(ensemble, box, tmp_path):
    deviations = ensemble.predict(box, ["forces"])["forces_std"]
    lengths = np.linalg.norm(deviations, axis=1)
    settings = {"temperature": 300.0, "time": 5.0, "quiet": True, "output": tmp_path / "md.xyz"}
    run_md(ensemble, box, max_spread=2.0 * lengths.max(), **settings)
    with pytest.raises(ExplosionError, match=rf"is {lengths.max():.3f} eV/Å") as caught:
        run_md(ensemble, box, max_spread=0.9 * lengths.max(), **settings)
    assert f"atom {lengths.argmax()}" in str(caught.value)
    with pytest.raises(UserError, match="not calibrated has no spread"):
        run_md(ensemble.members[0], box, max_spread=1.0, **settings)


def test_relax_ends_with_the_spread_of_an_ensemble(ensemble, box, capsys):
    done = relax(ensemble, box, fmax=2.0)
    lengths = np.linalg.norm(ensemble.predict(done.atoms, ["forces"])["forces_std"], axis=1)
    said = f"on atom {lengths.argmax()} ({done.atoms.symbols[lengths.argmax()]})"
    text = f"Largest standard deviation of a force: {lengths.max():.3f} eV/Å, {said}."
    assert text in " ".join(capsys.readouterr().out.split())


def test_relaxing_a_cell_shows_its_pressure(new_potential, box, tmp_path, capsys):
    output = tmp_path / "relaxed.traj"
    relax(new_potential(zbl={}), box, cell=True, max_steps=3, output=output)
    out = capsys.readouterr().out
    columns = table(out)
    assert max(map(len, out.splitlines())) <= 80
    for i, atoms in enumerate(ase.io.read(output, ":")):
        pressure = -np.trace(atoms.get_stress(voigt=False)) / 3.0
        assert float(columns["pressure GPa"][i]) == pytest.approx(pressure / units.GPa, abs=6e-4)
        assert float(columns["pressure eV/Å³"][i]) == pytest.approx(pressure, abs=6e-7)
        assert float(columns["volume Å³"][i]) == pytest.approx(atoms.get_volume(), abs=6e-3)


INF, NAN = float("inf"), float("nan")
WRONG = {
    "temperature": [-1.0, INF, NAN],
    "time": [0.0, -1.0, INF, NAN, 1e300, 0.4],  # shorter than a step
    "timestep": [0.0, -1.0, INF, NAN, 1e300, 101.0],
    "pressure": [INF, -INF, NAN, 1e300, -1e300],
    "friction": [-1.0, INF, NAN, 1e300],
    "interval": [0, -3],
    "seed": [-1],
    "max_extrapolating": [-0.1, 1.1, NAN],
    "max_spread": [0.0, -1.0, INF, NAN],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_numbers_that_make_no_sense_are_errors(potential, box, tmp_path, name, value):
    output = tmp_path / "md.xyz"
    settings = {"temperature": 300.0, "time": 5.0, "ensemble": "npt", "quiet": True, name: value}
    with pytest.raises(UserError, match=r"fix: +Use"):
        run_md(potential, box, output=output, **settings)
    assert not output.exists()


@pytest.mark.parametrize(("friction", "said"), [(3.0, "3 per fs"), (-1.0, "-1 per fs")])
def test_the_limits_of_the_friction_are_per_femtosecond(potential, box, friction, said):
    with pytest.raises(UserError, match=f"friction is {said}") as info:
        run_md(potential, box, temperature=300.0, timestep=0.5, friction=friction, quiet=True)
    assert info.value.fix == "Use at least 0 and at most 2 per fs."


def test_a_cell_that_runs_away_ends_the_run_while_numbers_are_finite(potential, box):
    with pytest.raises(ExplosionError, match=r"the volume is 1\d\d times that of the start"):
        run_md(potential, box, temperature=300.0, time=2e3, ensemble="npt", pressure=-1e8)


@pytest.mark.parametrize(
    "settings", [{"fmax": 0.0}, {"fmax": -1.0}, {"fmax": INF}, {"fmax": NAN}, {"max_steps": 0}]
)
def test_numbers_that_make_no_sense_are_errors_of_relax(potential, box, settings):
    with pytest.raises(UserError, match=r"fix: +Use"):
        relax(potential, box, quiet=True, **settings)
