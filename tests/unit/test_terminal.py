"""What reaches the terminal: in any encoding, without commands from files, within 80 columns."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from rich.table import Table
from typer.testing import CliRunner

import reann
from reann import cli
from reann.data.check import check_command
from reann.error_measures import key
from reann.errors import UserError, counted
from reann.evaluation.tables import MEASURES, tables
from reann.quantities import label_names
from reann.simulate.table import GrowingTable
from reann.terminal import Terminal, printable, replace_unknown_characters
from reann.training.journal import Journal, columns

HOSTILE = {
    "color": "\x1b[31m",
    "title": "\x1b]0;pwned\x07",
    "one-byte": "\x9b2J",
    "return": "\r",
    "backspace": "\x08\x08",
    "reversed": "\u202e",
    "isolate": "\u2067",
    "line": "\u2028",
    "byte": "\udcff",
}
UNSAFE = set("".join(HOSTILE.values())) - set("[31m]0;pwned2J")


def write_hostile(path: Path, text: str) -> None:
    atoms = ase.Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]])
    atoms.info[f"key{text}"] = f"value{text}"
    atoms.info["config_type"] = f"group{text}"
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    ase.io.write(path, atoms, format="extxyz")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_commands_the_terminal(text):
    screen = io.StringIO()
    terminal = Terminal(file=screen, force_terminal=True, color_system=None, width=60)
    terminal.write(f"before{text}after")
    terminal.print(f"before{text}after", markup=False)
    table = Table(f"before{text}after", title=f"before{text}after")
    table.add_row(f"before{text}after")
    terminal.print(table)
    shown = screen.getvalue()
    assert not UNSAFE & set(shown)
    assert shown.count(f"before{printable(text)}after") == 5
    # What is visible is counted: the frame is straight.
    assert len({len(line) for line in shown.splitlines()[3:]}) == 1


def test_ordinary_text_is_printed_as_it_is(capsys):
    text = "e\u0301 Å³ 水 [bold]x[/bold] :O: \\x1b\nnext"
    assert printable(text) == text
    Terminal().write(text)
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_an_encoding_lacks_are_replaced(encoding, monkeypatch):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    Terminal().write("5 eV/Å → ok")
    table = Table("水")
    table.add_row("·")
    Terminal().print(table)
    stream.flush()
    shown = raw.getvalue().decode(encoding)
    expected = "5 eV/Å → ok".encode(encoding, "replace").decode(encoding)
    assert shown.splitlines()[0] == expected


def test_the_command_line_replaces_characters_in_help_and_messages(monkeypatch):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    replace_unknown_characters()
    for words in (["check", "--help"], ["md", "--temperature", "→"], ["train", "na\udcffme.yaml"]):
        with pytest.raises(SystemExit):
            cli.main(words)
    stream.flush()
    shown = raw.getvalue().decode("ascii")
    assert "Usage" in shown
    assert r"na\udcffme.yaml" in shown


@pytest.mark.parametrize("verb", ["check", "evaluate", "new", "train"])
def test_names_and_contents_of_files_do_not_command_the_terminal(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\x1b[31m\u202e"
    name = f"data{text}.xyz"
    write_hostile(tmp_path / name, text)
    model = Path(__file__).parents[1] / "golden" / "files" / "version-1-float32.reann"
    words = {
        "check": ["check", name],
        "evaluate": ["evaluate", str(model), name],
        "new": ["new", f"new{text}.yaml", "--from", name],
        "train": ["train", f"absent{text}.yaml"],
    }[verb]
    result = CliRunner().invoke(cli.app, words)
    assert not {"\x1b", "\u202e"} & set(result.output)
    assert r"\x1b[31m" in result.output


def test_what_the_header_of_a_potential_says_does_not_command_the_terminal(tmp_path):
    from reann.potential import load

    golden = Path(__file__).parents[1] / "golden" / "files" / "version-1-float32.reann"
    potential = load(golden)
    potential.metadata["note\x1b[31m"] = "text\x1b]0;pwned\x07"
    potential.save(tmp_path / "a.reann")
    result = CliRunner().invoke(cli.app, ["info", str(tmp_path / "a.reann")])
    assert result.exit_code == 0, result.output
    assert r"note\x1b[31m" in result.output
    assert r"text\x1b]0;pwned\x07" in result.output
    assert "\x1b" not in result.output


def test_everything_is_printed_by_the_module_that_makes_text_safe():
    allowed = {"terminal.py": ("Console",), "cli/__init__.py": ("typer.echo",)}
    source = Path(reann.__file__).parent
    for path in source.rglob("*.py"):
        name = path.relative_to(source).as_posix()
        found = re.findall(
            r"\bConsole\b|typer\.echo|(?<![.\w])print\((?!.*file=)", path.read_text()
        )
        if name.startswith("upstream/"):
            continue  # writes a file by `print`
        assert set(found) <= set(allowed.get(name, ())), name


# --- 80 columns -------------------------------------------------------------------------------


def lines_of(tmp_path: Path, names: list[str], values: float, seconds: float, screen: io.StringIO):
    journal = Journal(tmp_path, writes=True)
    journal.console = Terminal(file=screen, width=80)
    journal.open(-1)
    errors = dict.fromkeys(names, values)
    for epoch in (0, 1, 2000):
        row = {"epoch": float(epoch), "learning_rate": 3e-3, "valid_loss": 1.0, "best": 1.0}
        journal.add({**row, **errors, "seconds": seconds})
    journal.close()
    return screen.getvalue().splitlines()


@pytest.mark.parametrize("value", [0.01, 99999.99, 1.5e9])
@pytest.mark.parametrize("stress", [False, True])
def test_the_log_of_a_training_fits_80_columns_below_its_headings(tmp_path, stress, value):
    of_energy = {name for name, (_, quantity) in columns().items() if quantity.from_energy}
    names = [name for name in columns() if name in of_energy and (stress or "stress" not in name)]
    caption, heading, *rows = lines_of(tmp_path, names, value, 999 * 60, io.StringIO())
    assert ("meV/Å³" in caption) == stress
    assert len(rows) == 3
    ends = [match.end() for match in re.finditer(r"(train|valid) [EFS]", heading)]
    assert len(ends) == len(names)
    for row in rows:
        assert len(row) == len(heading) <= 80
        assert all(row[end - 1] != " " and row[end] == " " for end in ends)


def test_errors_of_the_validation_alone_are_shown_where_all_are_too_many(tmp_path):
    caption, heading, *rows = lines_of(tmp_path, [*columns()], 12.5, 60, io.StringIO())
    assert "µ me·Å/atom · α mÅ³/atom" in caption
    assert re.findall(r"train|valid . ", heading) == [f"valid {x} " for x in "EFSµαq"]
    assert all(len(row) == len(heading) <= 80 for row in rows)


def test_the_star_stands_for_an_improvement_not_for_the_start(tmp_path):
    _, _, first, second, _ = lines_of(tmp_path, [*columns()], 0.0, 1.0, io.StringIO())
    assert "*" not in first
    assert "*" in second


def test_the_errors_of_all_labels_with_units_fit_80_columns():
    names = [key(label, measure) for label in label_names() for measure in MEASURES]
    row = dict.fromkeys(names, 12345.6) | {"n_structures": 123456}
    screen = io.StringIO()
    for table in tables("Per group", "group", {"warm": row}, "n_structures"):
        Terminal(file=screen, width=80).print(table)
    shown = screen.getvalue()
    assert "…" not in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    for word in ("meV/atom", "meV/Å", "meV/Å³", "mÅ³/atom", "structures", "12\u202f346"):
        assert word in shown


def test_the_tables_of_check_fit_80_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    structures = []
    for i, periodic in enumerate([True, (True, True, False), False]):
        rng = np.random.default_rng(i)
        atoms = ase.Atoms("AgAlAuCuNiPdPtPbFeW", rng.uniform(0, 9, (10, 3)), pbc=periodic)
        atoms.set_cell([9, 9, 9])
        atoms.info["REF_something_with_a_long_name_of_many_letters_and_more"] = 1.0
        atoms.calc = SinglePointCalculator(atoms, energy=-123456.7, forces=np.full((10, 3), 321.0))
        structures.append(atoms)
    name = "a_long_name_of_a_file_with_many_elements.xyz"
    ase.io.write(name, structures, format="extxyz")
    check_command([name])
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines() if "structures ·" not in line)
    for word in ("-12345.670", "556", f"{name}#2", "T T F (1)", "3 of 3"):
        assert word in shown


def test_a_terminal_breaks_lines_between_words_and_below_what_they_begin_with():
    screen = io.StringIO()
    terminal = Terminal(file=screen, force_terminal=True, color_system=None, width=30)
    terminal.write("model     cutoff 4.5 Å · 45809 parameters · 34 neighbors/atom")
    terminal.write(str(UserError("Wrong.", "a/very-long-name/without-any-blank/in-it.xyz", "x")))
    assert screen.getvalue().splitlines() == [
        "model     cutoff 4.5 Å · 45809",
        "          parameters · 34",
        "          neighbors/atom",
        "Wrong.",
        "  where:",
        "         a/very-long-name/without-any-blank/in-it.xyz",
        "  fix:   x",
    ]


def test_a_growing_table_fits_80_columns_where_its_headings_do(capsys):
    with GrowingTable(("time ps", "energy meV/atom")) as table:
        table.add(["0.1", "1.0"])
    heading, row = capsys.readouterr().out.splitlines()
    assert len(heading) == len(row)


@pytest.mark.parametrize("verb", [None, "train", "evaluate", "md", "convert", "lammps"])
def test_help_fits_80_columns_without_broken_paragraphs(verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(cli.app, [*([verb] if verb else []), "--help"])
    assert result.exit_code == 0
    assert all(len(line) <= 80 for line in result.output.splitlines())
    assert "keys are found \n" not in result.output


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(0, "error", "0 errors"), (1, "recursion", "1 recursion"), (2, "atom", "2 atoms")],
)
def test_nouns_are_in_the_plural_unless_it_is_one(number, noun, text):
    assert counted(number, noun) == text
