"""The loop of molecular dynamics: steps, rows of the table, structures of the trajectory."""

from __future__ import annotations

import time as clock

import numpy as np

from reann.motion.settings import Dynamics
from reann.simulate import md_table
from reann.simulate.md_result import Trajectory
from reann.simulate.monitor import Monitor
from reann.simulate.outputs import computed_outputs
from reann.simulate.resident_run import Steps
from reann.simulate.schedule import Schedule
from reann.simulate.table import GrowingTable
from reann.simulate.trajectory_file import TrajectoryWriter

N_FRAMES = 500


def propagate(
    steps: Steps,
    monitor: Monitor,
    settings: Dynamics,
    writer: TrajectoryWriter,
    table: GrowingTable,
) -> Trajectory:
    """Run the steps for the remaining time, with the table, and print averages."""
    time, timestep = settings.time, settings.timestep
    n_steps = max(0, round((time - monitor.first_time) / timestep))
    with writer, table:
        start = clock.perf_counter()
        in_all = max(1, round(time / timestep))
        interval = settings.interval or max(1, in_all // N_FRAMES)
        schedule = Schedule(monitor.first_step, n_steps, interval)
        extrapolating = _write(steps, monitor, settings, writer, table, schedule=schedule)
        seconds = clock.perf_counter() - start
    result = Trajectory(
        monitor.atoms,
        timestep,
        np.array(monitor.temperature),
        np.array(monitor.total_energy),
        extrapolating,
        n_steps / seconds,
        np.array(monitor.pressure),
        np.array(monitor.volume),
        monitor.first_time,
        settings.ensemble,
    )
    slope = f" Drift {result.drift:.4f} meV/atom/ps." if settings.ensemble == "nve" else ""
    table.write(f"{n_steps * timestep * 1e-3:g} ps in {seconds:.1f} s.{slope}")
    table.write(md_table.averages(monitor))
    if n_steps == 0:
        table.write(f"All {1e-3 * time:g} ps have been run before; to continue, increase --time.")
    table.write(md_table.about_output(writer.path, writer.n_written))
    return result


def _write(
    steps: Steps,
    monitor: Monitor,
    settings: Dynamics,
    writer: TrajectoryWriter,
    table: GrowingTable,
    *,
    schedule: Schedule,
) -> float:
    """Run all steps; return the largest fraction of extrapolating atoms in the rows."""
    first = schedule.first
    largest, row_step, row_time = float("nan"), first, clock.perf_counter()
    for step in steps(schedule, writer):
        if schedule.has_frame(step):
            info, arrays = computed_outputs(monitor.calculator, settings.write)
            writer.write(monitor.atoms, monitor.about(step) | info, arrays)
        if schedule.has_row(step):
            outside, now = monitor.calculator.fraction_extrapolating(), clock.perf_counter()
            largest = float(np.fmax(largest, outside))
            speed = (step - row_step) / (now - row_time) if step > first else float("nan")
            table.add(md_table.row(monitor, step, outside, speed))
            row_step, row_time = step, now
            if outside > settings.max_extrapolating:
                if step % schedule.interval:
                    writer.write(monitor.atoms, monitor.about(step))
                raise monitor.stop(step, f"{outside:.0%} of the atoms extrapolate")
    return largest
