"""README and tutorial do what they say, and the reference pages leave nothing out."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from reann.cli import app
from reann.config import Config, Section
from reann.config.section import OfLabels
from reann.demo import copy_data
from reann.learning.settings import LoopConfig, Named

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

TINY = ["training.epochs=8", "model.n_radial=4", "model.l_max=1", "run.threads=1"]
"""Makes the training of an example short, but long enough for a molecule that stays together."""
SHORT = "5fs"
"""Time of the molecular dynamics of an example."""
OF_LOOPS = ("learn.md", "loop.md", "tutorial-loop.md")
"""Pages whose configurations are those of `reann learn`."""
SHORTEST_LOOP = {
    "structures": "start.xyz",
    "label": {"calculator": {"name": "emt"}},
    "explore": {"displacements": {}},
}
ELSEWHERE = {
    "pip install .": "make install does it before the tests",
    "reann demo": "tests/cli/test_demo.py",
}
"""Commands that are tested elsewhere."""


def blocks(path, *languages):
    """Return language and text of the fenced blocks of a page."""
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [(language, text) for language, text in found if language in languages]


def hook(name="generated"):
    """Return a module that makes parts of pages."""
    path = DOCS / "hooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_page(path, folder, program, *, time=SHORT, more=(), printed=None):
    """Execute the bash and python blocks of a page, one after the other, in a folder.

    `time` is that of molecular dynamics; `more` has options for commands with a word, such as those
    that write a file. Lines that the commands print are appended to `printed`.
    """
    executed = []
    printed = [] if printed is None else printed
    for language, text in blocks(path, "bash", "python"):
        if language == "python":
            run(program, ["-c", text], folder, printed)
            continue
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and shlex.join(words) not in ELSEWHERE:
                added = [option for word, options in more if word in words for option in options]
                folder = execute(program, shortened(words, time) + added, folder, printed)
                executed.append(words)
    return executed


def shortened(words, time):
    """Return a command with little training and short dynamics."""
    command = list(words)
    if words[:2] == ["reann", "train"]:
        overridden = {one.partition("=")[0] for one in TINY}
        return [w for w in command if w.partition("=")[0] not in overridden] + TINY
    if "--time" in command:
        command[command.index("--time") + 1] = time
    return command


def execute(program, command, folder, printed):
    """Run a command and return the folder in which the next one runs."""
    if command[0] == "cd":
        return folder / command[1]
    if command[0] in ("reann", "python"):
        run(program, command[1:], folder, printed)
    else:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def run(program, arguments, folder, printed):
    """Run a command of reann, or ``-c CODE``."""
    done = program.run(arguments, folder, COLUMNS="80")
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    printed += done.stdout.splitlines()


def shape(line):
    """Return a line of output without its numbers and the width of its columns."""
    numbers = re.sub(r"[-+−]?\d[\d.:]*(e[-+]?\d+)?", "#", line)
    return re.sub(r"─+", "─", " ".join(numbers.replace("*", "").split()))


def missing(path, printed):
    """Return the lines of output on a page that no command printed, whatever the numbers.

    Dots at the end of a line stand for its rest. The advice depends on the numbers and is left out.
    """
    shapes, lines, is_advice = {shape(line) for line in printed}, [], False
    for line in "".join(text for _, text in blocks(path, "text")).splitlines():
        is_advice = line.startswith("advice") or (is_advice and line.startswith("     "))
        start = shape(line.removesuffix("..."))
        seen = start in shapes or (
            line.endswith("...") and any(s.startswith(start) for s in shapes)
        )
        if not seen and not is_advice:
            lines.append(line)
    return lines


@pytest.mark.slow
def test_the_commands_of_the_readme_work(program, tmp_path):
    copy_data(tmp_path / "data")
    (tmp_path / "water.xyz").write_bytes(unpacked(tmp_path / "data" / "ethanol_train.xyz.gz"))
    shutil.rmtree(tmp_path / "data")
    verbs = [words[1] for words in run_page(ROOT / "README.md", tmp_path, program)]
    assert verbs == ["new", "train", "md"]
    assert (tmp_path / "runs" / "water" / "model.reann").exists()


@pytest.mark.slow
def test_the_commands_of_the_tutorial_work(program, tmp_path):
    printed = []
    executed = run_page(DOCS / "tutorial.md", tmp_path, program, printed=printed)
    verbs = {words[1] for words in executed if words[0] == "reann"}
    assert verbs >= {"check", "new", "train", "resume", "evaluate", "relax", "md", "info"}
    for name in ("predicted.xyz", "relaxed.xyz", "md.xyz", "runs/ethanol_1/report.html"):
        assert (tmp_path / "tutorial" / name).stat().st_size > 0
    assert missing(DOCS / "tutorial.md", printed) == []


@pytest.mark.slow
def test_the_commands_of_the_tutorial_on_infrared_spectra_work(program, tmp_path):
    more = [("harmonic.svg", ["--fmax", "0.02"]), ("dynamics.svg", ["--width", "300"])]
    page = DOCS / "tutorial-infrared.md"
    executed = run_page(page, tmp_path, program, time="600fs", more=more)
    assert [words[1] for words in executed if words[0] == "reann"] == [
        *("check", "new", "train", "spectrum", "md", "md", "spectrum")
    ]
    folder = tmp_path / "infrared"
    modes = json.loads((folder / "harmonic.json").read_text(encoding="utf-8"))["modes"]
    assert len(modes) == 21
    for name in ("harmonic.svg", "dynamics.svg", "dynamics.csv"):
        assert (folder / name).stat().st_size > 0


@pytest.mark.slow
def test_the_how_to_upgrades_a_descriptor_of_ones_own(program, tmp_path):
    page = DOCS / "how-to" / "hosts.md"
    copy_data(tmp_path / "data")
    (tmp_path / "ethanol.xyz").write_bytes(unpacked(tmp_path / "data" / "ethanol_train.xyz.gz"))
    install_package(page, "inertia", "reann.hosts", tmp_path)
    verbs = [words[1] for words in run_page(page, tmp_path, program)]
    assert verbs == ["new", "train", "new", "train", "md"]
    config = yaml.safe_load((tmp_path / "runs" / "ethanol" / "config.yaml").read_text())
    assert config["model"]["host"] == "inertia"
    assert config["model"]["host_options"] == {"powers": 2}


def install_package(page, name, group, folder):
    """Write the module of a page, and what an installation of its package leaves behind."""
    text = page.read_text(encoding="utf-8")
    (code,) = re.findall(
        rf'^```python title="{name}.py"\n(.*?)^```', text, re.MULTILINE | re.DOTALL
    )
    (folder / f"{name}.py").write_text(code)
    ((_, project),) = blocks(page, "toml")
    assert project.startswith(f'[project.entry-points."{group}"]\n')
    installed = folder / f"{name}-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    points = project.partition("\n")[2].replace('"', "")
    (installed / "entry_points.txt").write_text(f"[{group}]\n{points}")


def test_the_how_to_adds_a_quantity_of_ones_own(program, tmp_path):
    install_package(DOCS / "how-to" / "tensors.md", "efg", "reann.quantities", tmp_path)
    code = """
from ase.build import molecule
from reann.config import ModelConfig
from reann.model import build
from reann.potential import Potential

config = ModelConfig(outputs=["efg"], channels=3)
found = Potential(build(config, [1, 8], seed=0)).predict(molecule("H2O"), ["efg"])
assert found["efg"].shape == (3, 3, 3)
"""
    run(program, ["-c", code], tmp_path, [])


def unpacked(path):
    import gzip

    return gzip.decompress(path.read_bytes())


def test_only_what_is_said_is_left_out_of_the_readme():
    lines = "".join(text for _, text in blocks(ROOT / "README.md", "bash"))
    commands = [shlex.join(shlex.split(line, comments=True)) for line in lines.splitlines()]
    assert set(ELSEWHERE) <= set(commands)


def test_every_verb_is_in_the_reference_with_its_options():
    page = hook().cli_reference()
    for name, command in typer.main.get_command(app).commands.items():
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for parameter in command.params:
            word = parameter.opts[0] if parameter.param_type_name == "option" else None
            assert word is None or f"`{word}`" in section, (name, word)


def test_every_field_of_the_configuration_is_in_the_reference_with_its_docstring():
    page = hook().config_reference()
    seen = set()
    for section in sections(Config):
        for name, field in section.model_fields.items():
            assert f"| `{name}` |" in page, f"{section.__name__}.{name}"
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            assert meaning in page, f"{section.__name__}.{name}"
            seen.add(name)
    assert {"train", "n_recursions", "energy_emphasis", "patience", "checkpoint_minutes"} <= seen


def test_every_field_of_a_loop_is_in_its_reference_with_its_docstring():
    page = hook().loop_reference()
    own = [one for one in every_section() if one.__module__ == "reann.learning.settings"]
    own = [*(one for one in own if one not in (LoopConfig, Named)), *Named.__subclasses__()]
    assert len(own) > 10
    for section in own:
        for name, field in section.model_fields.items():
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            assert meaning in page, f"{section.__name__}.{name}"


def sections(model):
    """Yield all sections of the configuration, at any depth, each once."""
    found = [model]
    for one in found:
        inner = " ".join(str(field.annotation) for field in one.model_fields.values())
        found += [
            known
            for known in all_sections()
            if known not in found and re.search(rf"\b{known.__name__}\b", inner)
        ]
    return [section for section in found if section is not model]


def all_sections():
    """Return the sections of a training."""
    return {one for one in every_section() if one.__module__.startswith("reann.config")}


def every_section():
    return {*Section.__subclasses__(), *OfLabels.__subclasses__()} - {OfLabels}


def test_the_sections_that_the_reference_is_checked_for_are_all_there_are():
    assert set(sections(Config)) == all_sections() - {Config}


def test_no_two_rooms_import_each_other():
    """So that each can be read, and changed, with what lies below it only."""
    rooms = hook("rooms")
    graph = rooms.imports()
    both = [
        (a, b) for a in graph for b in rooms._reached(a, graph) if a in rooms._reached(b, graph)
    ]
    assert not both
    assert "evaluation" in graph["report"]
    assert rooms.layers()[-1] == ["base"]


def test_the_diagram_shows_every_room_with_its_folder():
    rooms = hook("rooms")
    diagram, table = rooms.diagram(), rooms.table()
    for room in rooms.rooms():
        assert f">{room}</text>" in diagram
        assert f"| `{room}` |" in table
    folders = {path.name for path in rooms.SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert folders - set(rooms.FORMER) <= set(rooms.rooms())


def test_every_configuration_in_the_docs_is_valid():
    n_checked = 0
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for _, text in blocks(path, "yaml"):
            values = yaml.safe_load(text)
            if path.name in OF_LOOPS:
                LoopConfig.model_validate(SHORTEST_LOOP | values)
            else:
                Config.model_validate(values)
            n_checked += 1
    assert n_checked > 10


def test_every_page_is_in_the_navigation():
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in DOCS.rglob("*.md"):
        assert str(path.relative_to(DOCS)) in listed


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert len(local) > 8
    for link in local:
        assert (ROOT / link).exists(), link
