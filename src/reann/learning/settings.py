"""The file of a loop: each field documented where it is declared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from reann.config import ModelConfig, Section, TrainingConfig
from reann.config.data import Accepted
from reann.config.section import Count, Fraction, NonNegative, Positive
from reann.config.training import seconds

FEMTOSECONDS = {"fs": 1.0, "ps": 1e3, "ns": 1e6}
Temperatures = Annotated[list[Positive], Field(min_length=1)]


def femtoseconds(time: str) -> float:
    """Return a time such as `500fs`, `10ps` or `1ns` in fs; `ValueError` if it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?) ?(fs|ps|ns)", time.strip())
    value = float(match[1]) * FEMTOSECONDS[match[2]] if match else 0.0
    if value <= 0:
        raise ValueError(f"'{time}' is not a time: write 500fs, 10ps or 1ns")
    return value


def _is_duration(text: str) -> str:
    femtoseconds(text)
    return text


def _is_time(text: str) -> str:
    seconds(text)
    return text


Duration = Annotated[str, AfterValidator(_is_duration)]
Time = Annotated[str, AfterValidator(_is_time)]


class Named(Section):
    """A section with a name, whose other fields are arguments of what it names."""

    model_config = ConfigDict(extra="allow")

    name: str
    """Name of what is meant."""

    def arguments(self) -> dict[str, Any]:
        """Return the fields beside the name."""
        return dict(self.model_extra or {})


class CalculatorConfig(Named):
    """An ASE calculator; other fields are its arguments, such as `method: GFN2-xTB`."""

    name: str
    """Name of a calculator, such as tblite, or `module:function`, which returns one."""


class FilesConfig(Section):
    """Calculations that are run by hand or by a queue: inputs are written, outputs awaited."""

    input: str
    """Name of the file with the structure, in the folder of each calculation, such as POSCAR."""
    output: str
    """Name of the file with energy and forces, such as vasprun.xml; any that ASE reads."""
    format: str | None = None
    """Format of the input as ASE calls it; by default that of its name."""
    template: Path | None = None
    """Folder whose files are copied beside each input."""
    wait: Time | None = None
    """How often to look for outputs, such as 60s; by default the loop ends and goes on when it is
    started again."""


class LabelConfig(Section):
    """How energies and forces are computed: by `calculator` or by `files`."""

    calculator: CalculatorConfig | None = None
    """`{name: tblite, method: GFN2-xTB}`: an ASE calculator with its arguments."""
    files: FilesConfig | None = None
    """`{input: POSCAR, output: vasprun.xml, template: vasp}`: for codes that are run otherwise."""
    timeout: Time = "1h"
    """Longest time of one calculation, such as 90s, 10min or 2h."""
    retries: Annotated[int, Field(ge=0, le=100)] = 1
    """How often a calculation that failed is repeated before it counts as failed."""
    max_force: Positive = 50.0
    """eV/Å; labels with a larger force on an atom are refused."""

    @model_validator(mode="after")
    def _has_one_way(self) -> LabelConfig:
        if (self.calculator is None) == (self.files is None):
            raise ValueError("label needs calculator or files: give one of them")
        return self


class DynamicsConfig(Section):
    """Molecular dynamics with the last potential."""

    temperatures: Temperatures
    """K; each has trajectories of its own."""
    pressures: Annotated[list[float], Field(min_length=1)] | None = None
    """bar; by default the volume is constant."""
    time: Duration = "5ps"
    """Of each trajectory, such as 500fs or 10ps."""
    starts: Count = 2
    """Trajectories for each temperature and pressure, from labeled structures drawn at random."""
    timestep: Positive | None = None
    """fs; by default 0.5 with hydrogen, else 1."""
    frames: Count = 50
    """Structures that are kept of each trajectory, at equal times."""
    keep_bonds: bool = False
    """Whether a trajectory ends when a bond of its start breaks or a new one forms."""
    max_extrapolating: Annotated[float, Field(ge=0, le=1)] = 1.0
    """A trajectory ends when more than this fraction of its atoms extrapolates."""


class DisplacementsConfig(Section):
    """Random displacements of labeled structures, and strains of their cells."""

    number: Count = 50
    """Structures."""
    standard_deviation: NonNegative = 0.1
    """Å, of each component of a displacement."""
    strain: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Standard deviation of the components of the strain, where the cell is periodic."""


class CommandConfig(Section):
    """A program of your own, such as LAMMPS, which writes structures."""

    run: str
    """Command line; {model}, {start}, {seed} and {iteration} are replaced."""
    output: str
    """File or glob of the structures that it writes, in any format that ASE reads."""
    runs: Count = 1
    """How often it runs in each iteration, each time with another seed and start."""
    timeout: Time = "1h"
    """Longest time of one run."""


class ExploreConfig(Section):
    """How new structures are found; several ways are used together."""

    md: DynamicsConfig | None = None
    """Molecular dynamics."""
    displacements: DisplacementsConfig | None = None
    """Random displacements."""
    command: CommandConfig | None = None
    """A program of your own."""

    @model_validator(mode="after")
    def _has_one(self) -> ExploreConfig:
        if self.md is self.displacements is self.command is None:
            raise ValueError("explore is empty: give md, displacements or command")
        return self


class SelectConfig(Section):
    """Which of the structures found are labeled."""

    number: Count = 20
    """Chosen in each iteration, for the training set."""
    by: Literal["both", "uncertainty", "diversity", "random"] = "both"
    """How they are chosen: by the uncertainty of the potential and by diversity, by one of the two,
    or at random."""
    random: Count = 5
    """Drawn at random beside them in each iteration. They test the last potential on what
    exploration finds, then join the validation set."""
    pool: Count = 2000
    """Most structures to choose from; more are thinned out evenly."""


class StopConfig(Section):
    """When the loop ends."""

    force_error: Positive | None = None
    """eV/Å; it ends when the RMSE of the forces on structures drawn at random from exploration is
    below, and every trajectory reached its time."""
    iterations: Count = 10
    """Most iterations after the first training."""
    labels: Count = 1000
    """Most labels, failed calculations included."""


class JobQueueConfig(Named):
    """A queue of jobs, through dask-jobqueue; other fields are arguments of its cluster."""

    name: Literal["slurm", "pbs", "sge", "lsf", "htcondor", "oar", "moab", "local"]
    """Which queue."""


class WorkersConfig(Section):
    """Where calculations and exploration run: processes of Dask with one thread each."""

    number: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Workers; by default one for each core, or one job of a queue."""
    scheduler: str | None = None
    """Address of a running Dask scheduler, such as tcp://host:8786, or its scheduler file."""
    jobqueue: JobQueueConfig | None = None
    """`{name: slurm, cores: 16, processes: 16, memory: 32GB, walltime: '02:00:00'}`."""
    dashboard: bool = False
    """Whether Dask shows what runs on a page; needs `pip install bokeh`."""

    @model_validator(mode="after")
    def _are_in_one_place(self) -> WorkersConfig:
        if self.scheduler is not None and self.jobqueue is not None:
            raise ValueError("scheduler and jobqueue are both given: leave out one of them")
        return self


class LoopRunConfig(Section):
    """Where the loop keeps its files, and its seed."""

    folder: Path | None = None
    """Folder of the loop; by default `loops/` and the name of the file."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Of everything that is drawn."""
    device: str = "auto"
    """Of the training: auto, cpu or cuda."""
    engine: str = "auto"
    """What computes in training and dynamics: native, torch, or one that a package has added."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Threads of the training; by default as many cores as it keeps busy."""


class LoopConfig(Section):
    """Everything that a loop needs."""

    structures: str | list[str]
    """File, list of files or globs of the structures that the loop begins with."""
    labeled: bool = False
    """Whether their energies and forces are kept: `energy` and `forces` in eV and Å, by the same
    method; else they are computed."""
    validation: Fraction = 0.2
    """Part of the first structures that is kept for validation."""
    label: LabelConfig
    """Energies and forces."""
    explore: ExploreConfig
    """New structures."""
    select: SelectConfig = SelectConfig()
    """What is labeled."""
    model: ModelConfig = ModelConfig()
    """The potential, as for `reann train`."""
    training: TrainingConfig = TrainingConfig()
    """Its training, as for `reann train`."""
    retraining: TrainingConfig | None = None
    """Trainings after the first one; by default as `training`."""
    accept: list[Accepted] = Field(default=[])
    """Errors of `reann check` that do not stop a training, as `data.accept` of `reann train`."""
    start_from: Literal["last", "nothing"] = "last"
    """Whether these start from the weights of the last potential, or anew."""
    stop: StopConfig = StopConfig()
    """The end."""
    workers: WorkersConfig = WorkersConfig()
    """Where it runs."""
    run: LoopRunConfig = LoopRunConfig()
    """Folder, seed, device."""
