"""Explorations of an iteration: tasks with their initial structures and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np

from reann.errors import UserError
from reann.evaluation.progress import progress_bar
from reann.learning.cluster import Task, Workers
from reann.learning.explore.command import run_command
from reann.learning.explore.displacements import displaced
from reann.learning.explore.dynamics import Conditions, run_dynamics
from reann.learning.explore.trajectory import Trajectory
from reann.learning.explore.uncertainty import UncertaintyLimit
from reann.learning.folders import Iteration, read_frames, read_json, write_frames, write_json
from reann.learning.settings import LoopConfig, femtoseconds

ALL = "all.json"
"""Names of all explorations of an iteration, written when they have ended."""


@dataclass(frozen=True)
class Beginning:
    """Input of the explorations."""

    starts: Sequence[ase.Atoms]
    """Labeled structures, one of which is drawn for each trajectory."""
    model: bytes
    """Content of the file of the last potential."""
    limit: UncertaintyLimit
    """Uncertainty at which trajectories are cut."""
    home: Path
    """Folder of the loop's file."""


def explore(
    iteration: Iteration, settings: LoopConfig, beginning: Beginning, workers: Workers
) -> None:
    """Run the explorations that have no record yet; each is written when it ends."""
    tasks = list(_tasks(settings, iteration.number, beginning))
    missing = [task for task in tasks if not _record(iteration, task.name).exists()]
    with progress_bar(len(missing), "exploring") as (bar, shown):
        for index, result in workers.results(missing):
            if isinstance(result, UserError):
                raise result
            if isinstance(result, Exception):
                raise UserError(
                    f"The exploration {missing[index].name} failed: {type(result).__name__}:"
                    f" {result}.",
                    str(iteration.folder),
                    "Start `reann learn` again to repeat it, or change section explore.",
                ) from result
            _write(iteration, missing[index].name, beginning.limit.cut(result))
            bar.advance(shown)
    write_json(iteration.explored / ALL, [task.name for task in tasks])


def explorations(iteration: Iteration) -> dict[str, dict]:
    """Return the record of each exploration by its name, in order."""
    names = read_json(iteration.explored / ALL)
    return {name: read_json(_record(iteration, name)) for name in names}


def structures(iteration: Iteration) -> list[ase.Atoms]:
    """Return all structures of an iteration, each with the name of its exploration."""
    frames = []
    for name in explorations(iteration):
        for atoms in read_frames(iteration.explored / f"{name}.xyz"):
            atoms.info["exploration"] = name
            frames.append(atoms)
    return frames


def _tasks(settings: LoopConfig, number: int, beginning: Beginning) -> Iterator[Task]:
    explore, known, model = settings.explore, beginning.starts, beginning.model
    if explore.md is not None:
        for name, conditions in _dynamics(settings, number):
            start = _drawn(known, conditions.seed)
            yield Task(name, run_dynamics, (model, start, conditions))
    if (ways := explore.displacements) is not None:
        seed = _seed(settings, number, "displacements")
        starts = [_drawn(known, [seed, i]) for i in range(ways.number)]
        yield Task("displacements", displaced, (starts, ways, seed))
    if (command := explore.command) is not None:
        for i in range(command.runs):
            seed = _seed(settings, number, f"command-{i}")
            values = {"seed": str(seed), "iteration": str(number)}
            arguments = (model, _drawn(known, seed), command, values, str(beginning.home))
            yield Task(f"command-{i}", run_command, arguments)


def _dynamics(settings: LoopConfig, number: int) -> Iterator[tuple[str, Conditions]]:
    md = settings.explore.md
    assert md is not None
    for temperature in md.temperatures:
        for pressure in md.pressures or [None]:
            for i in range(md.starts):
                at = "" if pressure is None else f"-{pressure:g}bar"
                name = f"md-{temperature:g}K{at}-{i}"
                yield (
                    name,
                    Conditions(
                        temperature,
                        pressure,
                        femtoseconds(md.time),
                        md.timestep,
                        md.frames,
                        md.keep_bonds,
                        md.max_extrapolating,
                        _seed(settings, number, name),
                        settings.run.engine,
                    ),
                )


def _seed(settings: LoopConfig, number: int, name: str) -> int:
    """Return a seed that depends only on the loop, the iteration and the exploration."""
    words = [settings.run.seed, number, *name.encode()]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def _drawn(known: Sequence[ase.Atoms], seed: int | list[int]) -> ase.Atoms:
    return known[int(np.random.default_rng(seed).integers(len(known)))]


def _write(iteration: Iteration, name: str, trajectory: Trajectory) -> None:
    """Write the structures, then the record: it marks them as complete."""
    write_frames(iteration.explored / f"{name}.xyz", trajectory.frames)
    about = {
        "structures": len(trajectory.frames),
        "ended": trajectory.ended or None,
        "time_ps": round(1e-3 * trajectory.time, 6),
        "seconds": round(trajectory.seconds, 3),
    }
    write_json(_record(iteration, name), about)


def _record(iteration: Iteration, name: str) -> Path:
    return iteration.explored / f"{name}.json"
