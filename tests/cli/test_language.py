"""Names and sentences are those of the field: private words and odd phrases do not come back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/reann"

WORDS = frozenset(
    [
        "found",
        "told",
        "one",
        "every",
        "own",
        "nothing",
        "hood",
        "Seen",
        "places",
        "Say",
        "room",
        "asked",
        "given",
        "stated",
        "unclaimed",
        "missed",
        "remark",
        "remarks",
        "Remark",
        "Remarks",
        "said",
        "wanted",
        "mine",
        "lacking",
        "asks",
        "Given",
        "made",
        "seen",
        "there",
        "took",
        "Wanted",
        "whose",
    ]
)
"""Names that do not say what they are; write `settings`, `line`, `unassigned_keys`, ..."""
PHRASES = (
    "beyond the frame",
    "is not as the",
    "is there already",
    "is there twice",
    "it was not touched",
    "never was one",
    "not one of reann",
    "Not a finite number",
    "stands beside",
    "The forces is",
    "what it buys",
    "wherever they sit",
    "would be what",
    "is asked for",
    "whatever the network gives",
    "told apart",
    "turned round",
    "program of your own",
    "Relax the start",
)
"""Parts of sentences that are not idiomatic, or were about one thing under several names."""
FORMER = {"interfaces/lammps/places.py"}
"""Modules that keep their former names for installed programs."""


def names_in(tree: ast.AST) -> set[str]:
    """Return the names that a module defines or assigns."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
            case _:
                pass
    return names


def private_words(part: Path) -> list[str]:
    """Return the private words in a module, or in the modules of a package."""
    modules = sorted(part.rglob("*.py")) if part.is_dir() else [part]
    return [
        f"{module.relative_to(SOURCE)}: {word}"
        for module in modules
        if str(module.relative_to(SOURCE)) not in FORMER
        for word in sorted((names_in(ast.parse(module.read_text())) | {module.stem}) & WORDS)
    ]


PARTS = sorted(path for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir())


@pytest.mark.parametrize("part", PARTS, ids=lambda path: path.name)
def test_names_say_what_they_are(part):
    assert not private_words(part)


def test_sentences_are_idiomatic():
    files = [*SOURCE.rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    assert not [f"{file}: {x}" for file, text in texts.items() for x in PHRASES if x in text]
