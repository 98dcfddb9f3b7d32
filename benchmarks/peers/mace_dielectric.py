"""MACE's model of dipoles and polarizabilities, trained on the structures of `tensors.py`.

    pip install torch==2.13.0 mace-torch==0.3.16
    export TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1  # files of e3nn 0.4.4
    python benchmarks/peers/mace_dielectric.py train DATA RESULT --minutes 60 --until 16:05
    python benchmarks/peers/mace_dielectric.py judge DATA RESULT

DATA is a folder with `{train,valid,test}.xyz.gz`, as `benchmarks/tensors.py train` writes them.
Model and loss are those of mace-torch. The rate falls along half a cosine with the processor time,
or with the time that is left, whichever is further. A training that was interrupted goes on.
`judge` writes the errors of validation and test structures to RESULT.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import json
import math
import time
from pathlib import Path

import ase.io
import numpy as np
import torch
from e3nn import o3
from mace import data, modules, tools
from mace.tools.torch_geometric.dataloader import DataLoader
from torch_ema import ExponentialMovingAverage

NUMBERS = [1, 6, 7, 8, 16, 17]
CHANNELS, CUTOFF, MAX_ELL, CORRELATION = 32, 5.0, 2, 2
RATE, BATCH, DECAY, CLIP = 0.01, 8, 5e-7, 10.0
"""As in mace-torch, except for the size of the batch."""
LOSS = {"dipole_weight": 1000.0, "polarizability_weight": 100.0}
"""Both parts are then of similar size at the end."""
LABELS = {"dipole": (3,), "polarizability": (3, 3)}


def load(file: Path) -> list[data.AtomicData]:
    """Return neutral molecules, whose origin does not matter, with their labels."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        frames = ase.io.read(stream, ":", format="extxyz")
    table, keys = tools.AtomicNumberTable(NUMBERS), {name: name for name in LABELS}
    for atoms in frames:
        atoms.positions -= atoms.positions.mean(0)
        known = atoms.info | (atoms.calc.results if atoms.calc else {})
        atoms.info, atoms.calc = {name: np.ravel(known[name]) for name in LABELS}, None
    specification = data.KeySpecification(info_keys=keys, arrays_keys={})
    configurations = (data.config_from_atoms(a, key_specification=specification) for a in frames)
    return [data.AtomicData.from_config(c, z_table=table, cutoff=CUTOFF) for c in configurations]


def new_model(train: list[data.AtomicData]) -> modules.AtomicDielectricMACE:
    """Return a model with random weights."""
    neighbors = modules.compute_avg_num_neighbors(DataLoader(train, batch_size=BATCH))
    of_type = modules.interaction_classes
    return modules.AtomicDielectricMACE(
        r_max=CUTOFF,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=MAX_ELL,
        interaction_cls=of_type["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=of_type["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=len(NUMBERS),
        hidden_irreps=o3.Irreps(f"{CHANNELS}x0e+{CHANNELS}x1o+{CHANNELS}x2e"),
        MLP_irreps=o3.Irreps("16x0e+16x1o+16x2e"),
        avg_num_neighbors=neighbors,
        atomic_numbers=NUMBERS,
        correlation=CORRELATION,
        gate=torch.nn.functional.silu,
        atomic_energies=None,
    )


def new_optimizer(model: torch.nn.Module) -> torch.optim.Adam:
    """Return the optimizer, with weight decay for the weights that mace-torch lets decay."""
    decaying, others = [], []
    for name, p in model.named_parameters():
        linear = "linear.weight" in name and "skip_tp" not in name
        decays = ("interactions" in name and linear) or name.startswith("products")
        (decaying if decays else others).append(p)
    groups = [{"params": decaying, "weight_decay": DECAY}, {"params": others}]
    return torch.optim.Adam(groups, lr=RATE, amsgrad=True)


class Training:
    """Model, optimizer and mean of the weights, kept in a file."""

    def __init__(self, train: list[data.AtomicData], file: Path) -> None:
        self.file, self.model = file, new_model(train)
        self.optimizer = new_optimizer(self.model)
        self.average = ExponentialMovingAverage(self.model.parameters(), decay=0.99)
        self.parts = {"model": self.model, "ema": self.average, "opt": self.optimizer}
        self.epoch, self.seconds, self.started = 0, 0.0, time.time()
        if file.exists():
            state = torch.load(file, weights_only=False)
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.epoch, self.seconds, self.started = (state[k] for k in ("epoch", "cpu", "wall0"))

    def save(self) -> None:
        """Write everything to the file."""
        state = {name: part.state_dict() for name, part in self.parts.items()}
        new = self.file.with_suffix(".new")
        torch.save(
            state | {"epoch": self.epoch, "cpu": self.seconds, "wall0": self.started},
            new,
        )
        new.replace(self.file)

    def run(self, train: list[data.AtomicData], seconds: float, until: float) -> None:
        """Train for a processor time, or until a time of the clock."""
        loss_of = modules.DipolePolarLoss(**LOSS)
        before, batches = self.seconds, DataLoader(train, batch_size=BATCH, shuffle=True)
        begin = time.process_time()
        while (done := self.progress(seconds, until)) < 1.0:
            for batch in batches:
                for group in self.optimizer.param_groups:
                    group["lr"] = RATE * max(0.5 + 0.5 * math.cos(math.pi * min(done, 1.0)), 1e-3)
                self.optimizer.zero_grad(set_to_none=True)
                loss_of(pred=self.model(batch.to_dict(), training=True), ref=batch).backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
                self.optimizer.step()
                self.average.update()
                self.seconds = before + time.process_time() - begin
                done = self.progress(seconds, until)
            self.epoch += 1
            self.save()
            print(
                f"epoch {self.epoch}, {self.seconds / 60:.2f} min, {100 * done:.1f} %", flush=True
            )

    def progress(self, seconds: float, until: float) -> float:
        """Return the part of the training that is done; 1 is the end."""
        of_clock = (time.time() - self.started) / (until - self.started)
        return max(self.seconds / seconds, of_clock)


def errors(model: torch.nn.Module, structures: list[data.AtomicData]) -> dict[str, float]:
    """Return errors of components, and of components per atom, e Å and Å^3.

    `rrmse_percent` is the RMSE in % of the standard deviation, with a mean for each component.
    """
    differences: dict[str, list] = {name: [] for name in LABELS}
    references: dict[str, list] = {name: [] for name in LABELS}
    counts = []
    for batch in DataLoader(structures, batch_size=32):
        predicted = model(batch.to_dict())
        counts.append(batch.ptr.diff().numpy())
        for name, shape in LABELS.items():
            reference = batch[name].numpy().reshape(-1, *shape)
            references[name].append(reference)
            differences[name].append(predicted[name].detach().numpy() - reference)
    n, results = np.concatenate(counts)[:, None], {}
    for name in LABELS:
        d, y = (np.concatenate(x[name]).reshape(len(n), -1) for x in (differences, references))
        rmse = float(np.sqrt((d**2).mean()))
        results |= {
            f"{name}_mae": float(np.abs(d).mean()),
            f"{name}_rmse": rmse,
            f"{name}_mae_per_atom": float(np.abs(d / n).mean()),
            f"{name}_rmse_per_atom": float(np.sqrt(((d / n) ** 2).mean())),
            f"{name}_rrmse_percent": float(100 * rmse / np.sqrt(y.var(0).mean())),
        }
    return results


def main() -> None:
    """Train or judge."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("train", "judge"))
    parser.add_argument("data", type=Path)
    parser.add_argument("result", type=Path, help="name of the files, without a suffix")
    parser.add_argument("--minutes", type=float, default=60.0, help="processor time")
    parser.add_argument("--until", default="23:59", help="time of the clock of an earlier end")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tools.set_seeds(1)
    train = load(arguments.data / "train.xyz.gz")
    training = Training(train, arguments.result.with_suffix(".pt"))
    if arguments.step == "train":
        hour, minute = map(int, arguments.until.split(":"))
        until = dt.datetime.now().astimezone().replace(hour=hour, minute=minute, second=0)
        training.run(train, 60.0 * arguments.minutes, until.timestamp())
        return
    content = {
        "model": f"AtomicDielectricMACE, {CHANNELS} channels",
        "parameters": sum(p.numel() for p in training.model.parameters()),
        "epochs": training.epoch,
        "processor_minutes": training.seconds / 60.0,
    }
    with training.average.average_parameters():
        for part in ("valid", "test"):
            structures = load(arguments.data / f"{part}.xyz.gz")
            content[part] = errors(training.model, structures) | {"n_structures": len(structures)}
    arguments.result.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
