"""Make the environments of the peers: python benchmarks/peers/environments.py [FOLDER]

Each peer has an environment of its own, as their requirements exclude one another. Where PyTorch
is needed, install the build for CPUs first or pip fetches gigabytes of libraries for GPUs; the
index below has it.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

TORCH = ["torch==2.13.0", "--extra-index-url", "https://download.pytorch.org/whl/cpu"]

ENVIRONMENTS = {
    "nep": [["calorine==4.1"]],
    "mace": [TORCH, ["mace-torch==0.3.16"]],
    "nequip": [TORCH, ["nequip==0.19.1", "nequip-allegro==0.8.3"]],
    "deepmd": [["deepmd-kit[cpu,lmp]==3.2.0", "ase"]],
}
"""What pip installs, in order."""


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/peers")
    for name, steps in ENVIRONMENTS.items():
        home = folder / name
        if not home.exists():
            venv.create(home, with_pip=True)
        for packages in steps:
            command = [str(home / "bin" / "python"), "-m", "pip", "install", *packages]
            subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
