"""Commands of reann in forks of a process that has already imported PyTorch and ASE.

These imports take longer than most of the short commands in the documentation, so a test of many
commands imports once. Run as a program, it reads one request a line: forks have their own modules
of reann, which are not imported before, folder and output. `python -m reann` is tested elsewhere.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HEAVY = (
    "torch",
    "torch._dynamo",
    "scipy.integrate",
    "ase.db",
    "ase.io",
    "pydantic",
    "rich",
    "typer",
)
"""`torch._dynamo` is imported by every optimizer."""
LONGEST = 900
"""Seconds after which a command is ended."""


@contextmanager
def preloaded(environment: dict[str, str]) -> Iterator[Preloaded]:
    """Start the process, and end it."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Preloaded(process)
    process.communicate()


class Preloaded:
    """Runs commands in forks of a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self, arguments: list[str], folder: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``reann ARGUMENTS``, or ``-c CODE`` as Python does, in a folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"arguments": arguments, "folder": str(folder), "environment": environment}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        reply = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, **reply)


def serve() -> None:
    """Answer the requests of the standard input."""
    for name in HEAVY:
        __import__(name)
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        print(json.dumps(_in_a_fork(**json.loads(line))), file=replies, flush=True)


def _in_a_fork(arguments: list[str], folder: str, environment: dict[str, str]) -> dict[str, Any]:
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
    child = os.fork()
    if child == 0:
        for number, output in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
            os.dup2(output, number)
        os.chdir(folder)
        os.environ.update(environment)
        signal.alarm(LONGEST)
        os._exit(_exit_code(arguments, folder))
    _, status = os.waitpid(child, 0)
    texts = []
    for output in outputs:
        with os.fdopen(output, "rb") as file:
            file.seek(0)
            texts.append(file.read().decode())
    code = os.waitstatus_to_exitcode(status)
    return {"returncode": code, "stdout": texts[0], "stderr": texts[1]}


def _exit_code(arguments: list[str], folder: str) -> int:
    """Run the command in this process as if it had just been started."""
    sys.path[0] = folder
    sys.stdin = open(0)  # noqa: SIM115 - closed with the process
    sys.argv = ["reann", *arguments]
    try:
        if arguments[0] == "-c":
            exec(arguments[1], {"__name__": "__main__"})  # noqa: S102 - the code of a page
        else:
            from reann.cli import main

            main()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
        return code if isinstance(code, int) else int(code is not None)
    except BaseException:  # noqa: BLE001 - as Python ends
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve()
