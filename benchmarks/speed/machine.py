"""What machine this is, and how busy it is with what we did not start."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
LEVELS = {"v4": {"avx512f", "avx512bw", "avx512dq", "avx512vl"}, "v3": {"avx2", "fma", "bmi2"}}


def describe() -> dict[str, str | int]:
    """Return processor, level of its instruction set, cores and date."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set(fields["flags"].split())
    family = f"family {fields['cpu family']}, model {fields['model']}"
    return {
        "processor": f"{fields['model name']} ({family})",
        "level": next((f"x86-64-{n}" for n, f in LEVELS.items() if f <= flags), "baseline"),
        "last_level_cache": _largest_cache(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def _largest_cache() -> str:
    folders = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    by_level = {int((f / "level").read_text()): (f / "size").read_text().strip() for f in folders}
    return by_level[max(by_level)] if by_level else "unknown"


class OthersLoad:
    """Cores in use, on average since the start, by processes that are neither we nor ours.

    Time that the hypervisor gave to others counts too.
    """

    def __init__(self, children: Iterable[int]) -> None:
        self._children = list(children)
        self._start, self._busy, self._own = time.monotonic(), _busy(), self._ours()

    def mean(self) -> float:
        """Return the load; the children must still be alive."""
        elapsed = time.monotonic() - self._start
        others = (_busy() - self._busy) - (self._ours() - self._own)
        return max(0.0, others / elapsed)

    def _ours(self) -> float:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return own.ru_utime + own.ru_stime + sum(map(_seconds, self._children))


def _busy() -> float:
    """Return the seconds that all cores were not idle since the machine started."""
    user, nice, system, _idle, _wait, irq, softirq, steal = (
        int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICK


def _seconds(process: int) -> float:
    """Return the processor time of a process with its threads and the children it waited for."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(int(n) for n in after_name[11:15]) / TICK
