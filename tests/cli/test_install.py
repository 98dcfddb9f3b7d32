"""Installing: with a compiler the native engine, without one the reference, never a mixture."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from c_interface import needs
from reann import native

ROOT = Path(__file__).parents[2]
COMPILED = ("src/reann/core", "src/reann/native")
REUSE = f"""#!/bin/sh
for word; do
    [ "$last" = -o ] && target=$word
    last=$word
done
compiled={ROOT}/$target
case $target in
*level_*.o)
    newer=$(find {ROOT}/CMakeLists.txt {ROOT}/src/reann/core -newer $compiled -type f 2>&1)
    [ -z "$newer" ] && exec cp $compiled $target
    ;;
esac
exec "$@"
"""
"""Takes the kernels, which compile for minutes, from the installation of the same sources."""
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def copied(folder):
    """Copy what a build needs, with nothing in the C++: it compiles at once."""
    shutil.copytree(
        ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    for name in ("CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for part in COMPILED:
        for file in (folder / part).rglob("*.cpp"):
            file.write_text("")
    return folder


@pytest.fixture
def sources(tmp_path):
    return copied(tmp_path / "sources")


def wheel(source, folder, **environment):
    """Build a wheel as pip does; return what it says, and the files by name."""
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--no-build-isolation"]
    command += ["--config-settings", "cmake.build-type=Debug"]  # compiles faster
    clean = {k: v for k, v in os.environ.items() if k != "REANN_REQUIRE_NATIVE"}
    done = subprocess.run(
        [*command, "--wheel-dir", folder, source],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def pure(tmp_path_factory):
    """Make the source archive, and from it a wheel; with neither git nor a compiler."""
    folder = tmp_path_factory.mktemp("pure")
    made = copied(folder / "sources")
    only_this = {"PATH": str(Path(sys.executable).parent), "CXX": "no-such-compiler"}
    code = f"from scikit_build_core.build import build_sdist as b; print(b({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=made, env=os.environ | only_this, check=True)
    (archive,) = folder.glob("reann-*.tar.gz")
    done, wheels = wheel(archive, folder / "wheels", **only_this)
    assert done.returncode == 0, done.stdout
    assert [file.name.split("-", 2)[2] for file in wheels] == ["py3-none-any.whl"]
    return wheels[0]


@pytest.mark.slow
def test_without_a_compiler_the_package_is_pure_and_works(pure, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    install = [sys.executable, "-m", "pip", "--python", venv, "install", "--no-deps"]
    subprocess.run([*install, pure], check=True, capture_output=True)
    question = (
        "import reann, importlib.util as u; print(reann.__version__, reann.__file__,"
        " u.find_spec('reann.native._core'))"
    )
    answer = subprocess.run(
        [venv / "bin" / "python", "-c", question],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert answer[0] == pure.name.split("-")[1]
    assert Path(answer[1]).is_relative_to(venv)
    assert answer[2] == "None"


@pytest.mark.slow
def test_the_sources_travel_in_the_archive_and_in_the_wheel(pure):
    files = set(ZipFile(pure).namelist())
    for file in (ROOT / "src" / "reann" / "core").rglob("*"):
        assert file.is_dir() or file.relative_to(ROOT / "src").as_posix() in files


@pytest.mark.slow
def test_an_error_in_the_sources_is_never_hidden_where_the_engine_is_required(sources):
    needs("c++")
    (sources / "src/reann/core/kernels/level.cpp").write_text("int seven = this_is_wrong;\n")
    done, wheels = wheel(sources, sources.parent, REANN_REQUIRE_NATIVE="1")
    assert done.returncode != 0
    assert "this_is_wrong" in done.stdout + done.stderr
    assert wheels == []


@pytest.mark.parametrize("first", ["torch", "reann.native"])
def test_there_is_one_openmp_runtime_in_a_process(first):
    if why := native.missing():
        pytest.skip(why)
    code = (
        f"import {first}, torch, reann.native; reann.native.core();"
        " print(*{l.split()[-1] for l in open('/proc/self/maps') if 'gomp' in l}, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) == 1, done.stdout


def symbols(file, *options):
    """Return the names that an object defines for others."""
    command = ["nm", "-g", "--defined-only", *options, file]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[-1] for line in lines if line]


def test_the_extension_exports_nothing_but_itself():
    needs("nm")
    if why := native.missing():
        pytest.skip(why)
    assert symbols(native.core().__file__, "-D") == ["PyInit__core"]


def test_kernels_of_an_instruction_set_define_nothing_that_others_could_use():
    # A common inline function of an AVX-512 object may be the copy that the linker keeps.
    needs("nm")
    objects = sorted(ROOT.glob("CMakeFiles/level_*.dir/src/reann/core/kernels/*.cpp.o"))
    if not objects and not os.environ.get("CI"):
        pytest.skip("the engine was not compiled in this checkout")
    assert objects
    for file in objects:
        level = file.relative_to(ROOT).parts[1].removesuffix(".dir").removeprefix("level_")
        (name,) = symbols(file)  # the table of its functions
        assert f"{file.name.removesuffix('.cpp.o')}_{level}" in name


@pytest.mark.slow
def test_a_wheel_with_the_engine_works_where_it_is_installed(tmp_path):
    needs("c++")
    sources = copied(tmp_path / "sources")
    for part in COMPILED:
        for file in (ROOT / part).rglob("*.cpp"):
            shutil.copy(file, sources / file.relative_to(ROOT))
    launcher = tmp_path / "reuse"
    launcher.write_text(REUSE)
    launcher.chmod(0o755)
    own = {"REANN_REQUIRE_NATIVE": "1", "CMAKE_CXX_COMPILER_LAUNCHER": str(launcher)}
    done, wheels = wheel(sources, tmp_path / "wheels", **own)
    assert done.returncode == 0, done.stdout + done.stderr
    # From Python 3.12 on, one extension serves all later versions.
    stable = sys.version_info >= (3, 12)
    assert ("-abi3-" in wheels[0].name) == stable
    extension = f"reann/native/_core{'.abi3.so' if stable else SUFFIX}"
    assert extension in ZipFile(wheels[0]).namelist()
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    install = [sys.executable, "-m", "pip", "--python", venv, "install", "--no-deps"]
    subprocess.run([*install, wheels[0]], check=True, capture_output=True)
    code = f"""
import sys
sys.path.append({sysconfig.get_path("purelib")!r})  # the packages that reann needs
import reann
from ase.build import molecule
from reann.config import ModelConfig
from reann.model import build
from reann.potential import Potential

assert reann.__file__.startswith({str(venv)!r}), reann.__file__
potential = Potential(build(ModelConfig(channels=3), [1, 8], seed=0))
forces = [potential.predict(molecule("H2O"), ["forces"], e)["forces"] for e in ("native", "torch")]
assert abs(forces[0] - forces[1]).max() < 1e-5
"""
    subprocess.run([venv / "bin" / "python", "-c", code], check=True, cwd=tmp_path)
