"""Who is timed: peers as processes in environments of their own, asked over a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[1] / "peers"


@dataclass(frozen=True, eq=False)
class Peer:
    """A script, the Python that runs it, and its options."""

    name: str
    script: str
    python: Path = Path(sys.executable)
    threads: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    def using(self, threads: int) -> Peer:
        """Return the same peer with another number of threads."""
        return replace(self, threads=threads)

    def with_options(self, **options: Any) -> Peer:
        """Return the same peer with more options."""
        return replace(self, options=self.options | options)


class PeerError(RuntimeError):
    """A peer stopped; the message is its last words."""


class Worker:
    """A running peer, ready to answer."""

    def __init__(self, peer: Peer, system: Path, log: Path) -> None:
        self.peer = peer
        options = json.dumps({"threads": peer.threads} | peer.options)
        # Threads of libraries that take their number from the environment alone.
        environment = os.environ | {"OMP_NUM_THREADS": str(peer.threads)}
        answers, theirs = os.pipe()  # standard output is for what libraries have to say
        with log.open("a") as said:
            self._process = subprocess.Popen(  # noqa: S603
                [peer.python, SCRIPTS / peer.script, system, options, str(theirs)],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                pass_fds=[theirs],
                env=environment,
                text=True,
            )
        os.close(theirs)
        self._answers = os.fdopen(answers, encoding="utf-8")
        self.ready = self._answer()

    @property
    def pid(self) -> int:
        """Identifier of the process."""
        return self._process.pid

    def ask(self, task: str, **request: Any) -> dict[str, Any]:
        """Let the peer do a task, and return the seconds of one call and what it found."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": task, **request}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        answer = json.loads(line) if line else {"error": f"exit code {self._process.wait()}"}
        if "error" in answer:
            raise PeerError(f"{self.peer.name}: {answer['error']}")
        return answer

    def stop(self) -> None:
        """End the peer."""
        self._process.communicate()  # closes its input
        self._answers.close()
