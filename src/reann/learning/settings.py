"""Settings of an active-learning loop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from reann.config import ModelConfig, Section, TrainingConfig
from reann.config.data import Accepted
from reann.config.section import Count, Fraction, NonNegative, Positive
from reann.config.training import seconds
from reann.criteria import By

FEMTOSECONDS = {"fs": 1.0, "ps": 1e3, "ns": 1e6}
Temperatures = Annotated[list[Positive], Field(min_length=1)]


def femtoseconds(time: str) -> float:
    """Return a time such as `500fs`, `10ps` or `1ns` in fs; `ValueError` if it is invalid."""
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
    """A section with a name and with arguments as its other fields."""

    model_config = ConfigDict(extra="allow")

    name: str
    """Name."""

    def arguments(self) -> dict[str, Any]:
        """Return the other fields."""
        return dict(self.model_extra or {})


class CalculatorConfig(Named):
    """An ASE calculator; other fields are its arguments, such as `method: GFN2-xTB`."""

    name: str
    """Name of a calculator, such as tblite, or `module:function` that returns one."""


class FilesConfig(Section):
    """Calculations by an external program: inputs are written, and outputs are read."""

    input: str
    """Name of the input file with the structure, such as POSCAR, in the folder of each
    calculation."""
    output: str
    """Name of the output file with energy and forces, such as vasprun.xml, in any format that ASE
    reads."""
    format: str | None = None
    """Name of the input format in ASE; by default it follows from the file name."""
    template: Path | None = None
    """Folder whose files are copied into the folder of each calculation."""
    wait: Time | None = None
    """Time between checks for outputs, such as 60s. By default the loop stops instead, and
    continues when it is started again."""


class LabelConfig(Section):
    """How energies and forces are computed: by `calculator` or by `files`."""

    calculator: CalculatorConfig | None = None
    """`{name: tblite, method: GFN2-xTB}`: an ASE calculator with its arguments."""
    files: FilesConfig | None = None
    """`{input: POSCAR, output: vasprun.xml, template: vasp}`: for calculations that you run
    yourself."""
    timeout: Time = "1h"
    """Time limit of one calculation, such as 90s, 10min or 2h."""
    retries: Annotated[int, Field(ge=0, le=100)] = 1
    """Number of times that a failed calculation is repeated."""
    max_force: Positive = 50.0
    """Labels with a larger force on an atom, in eV/Å, are not used."""

    @model_validator(mode="after")
    def _has_one_way(self) -> LabelConfig:
        if (self.calculator is None) == (self.files is None):
            raise ValueError("label needs calculator or files: set one of them")
        return self


class DynamicsConfig(Section):
    """Molecular dynamics with the last potential."""

    temperatures: Temperatures
    """Temperatures in K; trajectories are run at each of them."""
    pressures: Annotated[list[float], Field(min_length=1)] | None = None
    """Pressures in bar; by default the volume is constant."""
    time: Duration = "5ps"
    """Length of each trajectory, such as 500fs or 10ps."""
    starts: Count = 2
    """Number of trajectories for each temperature and pressure. Each starts from a structure drawn
    at random from the initial structures and those of completed explorations."""
    timestep: Positive | None = None
    """Time step in fs; by default 0.5 with hydrogen, else 1."""
    frames: Count = 50
    """Number of structures, at equal intervals, that are kept from each trajectory."""
    keep_bonds: bool = False
    """Whether a trajectory ends if a bond breaks or forms."""
    max_extrapolating: Annotated[float, Field(ge=0, le=1)] = 1.0
    """A trajectory ends if a larger fraction of its atoms extrapolates."""


class DisplacementsConfig(Section):
    """Random displacements of labeled structures, and strains of their cells."""

    number: Count = 50
    """Number of structures."""
    standard_deviation: NonNegative = 0.1
    """Standard deviation of each component of a displacement, Å."""
    strain: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Standard deviation of the components of the strain of periodic cells."""


class CommandConfig(Section):
    """Another program that writes structures, such as LAMMPS."""

    run: str
    """Command line; {model}, {start}, {seed}, {iteration} and {folder}, the folder of this file,
    are replaced."""
    output: str
    """File or glob of the structures that the program writes, in any format that ASE reads."""
    runs: Count = 1
    """Number of runs in each iteration, with different seeds and initial structures."""
    timeout: Time = "1h"
    """Time limit of one run."""


class ExploreConfig(Section):
    """How new structures are generated; several ways can be combined."""

    md: DynamicsConfig | None = None
    """Molecular dynamics."""
    displacements: DisplacementsConfig | None = None
    """Random displacements."""
    command: CommandConfig | None = None
    """Another program."""

    @model_validator(mode="after")
    def _has_one(self) -> ExploreConfig:
        if self.md is self.displacements is self.command is None:
            raise ValueError("explore is empty: add md, displacements or command")
        return self


class SelectConfig(Section):
    """Selection of the explored structures that are labeled."""

    number: Count = 20
    """Number of structures selected for the training set in each iteration."""
    by: By = "both"
    """Criterion of the selection: uncertainty and diversity, only one of these, or at random."""
    random: Count = 5
    """Number of structures drawn at random in each iteration. They test the last potential and are
    then added to the validation set."""
    pool: Count = 2000
    """Maximum number of structures to choose from; larger pools are thinned evenly."""


class StopConfig(Section):
    """When the loop ends."""

    force_error: Positive | None = None
    """The loop ends when the RMSE of the forces on the random structures is below this value, in
    eV/Å, and all trajectories were completed."""
    iterations: Count = 10
    """Maximum number of iterations after the first training."""
    labels: Count = 1000
    """Maximum number of labels, including failed calculations."""


class JobQueueConfig(Named):
    """A batch queue, through dask-jobqueue; other fields are arguments of its cluster class."""

    name: Literal["slurm", "pbs", "sge", "lsf", "htcondor", "oar", "moab", "local"]
    """Kind of queue."""


class WorkersConfig(Section):
    """Where calculations and explorations run: Dask workers with one thread each."""

    number: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Number of workers; by default one per core, or one job of a queue."""
    scheduler: str | None = None
    """Address of a running Dask scheduler, such as tcp://host:8786, or its scheduler file."""
    jobqueue: JobQueueConfig | None = None
    """`{name: slurm, cores: 16, processes: 16, memory: 32GB, walltime: '02:00:00'}`."""
    dashboard: bool = False
    """Whether to start Dask's dashboard; needs `pip install bokeh`."""

    @model_validator(mode="after")
    def _are_in_one_place(self) -> WorkersConfig:
        if self.scheduler is not None and self.jobqueue is not None:
            raise ValueError("scheduler and jobqueue are both set: leave out one of them")
        return self


class LoopRunConfig(Section):
    """Folder, seed and device of the loop."""

    folder: Path | None = None
    """Folder of the loop; by default `loops/NAME`, with the name of the file."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Seed of all random numbers."""
    device: str = "auto"
    """Device of the training: auto, cpu or cuda."""
    engine: str = "auto"
    """Engine of training and dynamics: native, triton, torch, or one of an installed package."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Threads of the training; by default as many cores as it can use."""


class LoopConfig(Section):
    """Settings of an active-learning loop."""

    structures: str | list[str]
    """File, list of files or globs of the initial structures."""
    labeled: bool = False
    """Whether the initial structures have labels of the same method that are used: `energy` in eV
    and `forces` in eV/Å. By default labels are computed."""
    validation: Fraction = 0.2
    """Fraction of the initial structures for validation."""
    label: LabelConfig
    """How structures are labeled."""
    explore: ExploreConfig
    """How new structures are generated."""
    select: SelectConfig = SelectConfig()
    """Which structures are labeled."""
    model: ModelConfig = ModelConfig()
    """The potential, as for `reann train`."""
    training: TrainingConfig = TrainingConfig()
    """The training, as for `reann train`."""
    retraining: TrainingConfig | None = None
    """Trainings after the first one; by default the same as `training`."""
    accept: list[Accepted] = Field(default=[])
    """Errors of `reann check` that do not stop a training, like `data.accept` of `reann train`."""
    start_from: Literal["last", "nothing"] = "last"
    """Whether later trainings start from the weights of the last potential, or from scratch."""
    final: TrainingConfig | bool = True
    """Whether a final potential is trained from scratch on all labels when the loop ends, with the
    settings of `training` or with those given here, such as `{epochs: 300}`."""
    stop: StopConfig = StopConfig()
    """When the loop ends."""
    workers: WorkersConfig = WorkersConfig()
    """Where calculations run."""
    run: LoopRunConfig = LoopRunConfig()
    """Folder, seed, device."""
