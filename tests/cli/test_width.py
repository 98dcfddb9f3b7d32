"""Every line of the commands fits a terminal of 80 columns."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import ase.io
import numpy as np
import pytest

DATA = Path(__file__).parents[1] / "data" / "ethanol.xyz"
SMALL = [
    *("data.valid=0.3", "model.preset=fast", "model.cutoff=3", "model.n_radial=3"),
    *("model.l_max=1", "training.epochs=2", "training.batch_size=4"),
]
SHORT, CHOSEN = ["--time", "10fs"], ["-o", "chosen.xyz"]
COMMANDS = {
    "new": ["new", "a.yaml", "--from", str(DATA)],
    "check": ["check", str(DATA)],
    "train": ["train", "a.yaml", *SMALL, "run.folder=run"],
    "info": ["info", "run"],
    "evaluate": ["evaluate", "run", str(DATA)],
    "relax": ["relax", "run", str(DATA), "--max-steps", "2", "--fmax", "0.001"],
    "md": ["md", "run", str(DATA), "--temperature", "300", *SHORT, "-o", "md.xyz"],
    "npt": [*("md", "run", "box.xyz", "--temperature", "300", "--ensemble", "npt"), *SHORT],
    "select": [*("select", "md.xyz", "--from", "run", "--data", str(DATA), "-n", "2"), *CHOSEN],
    "doctor": ["doctor"],
    **{f"help of {name}": [name, "--help"] for name in ("test", "spectrum", "learn", "md")},
    "mistake": ["train", "a.yaml", "model.l_max=99"],
}
ALL = f"""
import sys
from reann.cli import app
for name, words in {COMMANDS!r}.items():
    print(f"=== {{name}} ===", flush=True)
    try:
        app(words, prog_name="reann", standalone_mode=False)
    except SystemExit:
        pass
    except Exception as error:
        print(type(error).__name__, flush=True)
"""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal_output(folder: Path) -> str:
    """Return what all commands print on a terminal of 80 columns."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-c", ALL],
        cwd=folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(follower)
    parts = []
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the child has closed the terminal
            break
        if not part:
            break
        parts.append(part)
    child.wait(60)
    os.close(leader)
    return b"".join(parts).decode()


@pytest.mark.slow
def test_every_line_fits_80_columns(tmp_path):
    box = ase.io.read(DATA)
    box.set_cell(8.0 * np.eye(3))
    box.pbc = True
    ase.io.write(tmp_path / "box.xyz", box)
    shown = terminal_output(tmp_path)
    plain = ESCAPE.sub("", shown)
    for name in COMMANDS:
        assert f"=== {name} ===" in plain
    words = ["epoch 2 of 2", "advice", "Verdict", "elaxed ", "Trajectory: md.xyz", "bar"]
    for word in [*words, "chosen.xyz", "model.l_max"]:
        assert word in plain.replace("\r", ""), word
    lines = [part for line in plain.split("\n") for part in line.split("\r")]
    too_long = [line for line in lines if len(line) > 80 and str(tmp_path) not in line]
    assert too_long == []
