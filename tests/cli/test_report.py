"""`report.html`: complete, self-contained, and alive in a real browser."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from reann.config import Config, DataConfig, RunConfig
from reann.errors import UserError
from reann.evaluation.comparison import Evaluation
from reann.report import write_report

GROUPS = ("molecule", "<b>crystal</b>")


def structures(n: int) -> list[Atoms]:
    """Return ethanol-like molecules and small crystals, in turn."""
    rng = np.random.default_rng(0)
    one = [[0, 0, 0], [1.5, 0, 0], [2.0, 1.3, 0], [2.9, 1.3, 0], [-0.4, 1.0, 0], [-0.4, -0.5, 0.9]]
    molecule = Atoms("CCOHHH", one)
    crystal = Atoms("NiO", [[0, 0, 0], [2.1, 0, 0]], cell=[[4.2, 0, 0], [0, 3, 0], [0, 0, 3]])
    crystal.pbc = True
    found = [molecule.copy() if i % 2 == 0 else crystal.copy() for i in range(n)]
    for atoms in found:
        atoms.rattle(0.05, rng=rng)
    return found


def evaluation_of(frames: list[Atoms], seed: int = 0) -> Evaluation:
    """Return predictions with errors of about 5 meV/atom and 50 meV/Å."""
    rng = np.random.default_rng(seed)
    n_atoms = np.array([len(atoms) for atoms in frames])
    total, n = int(n_atoms.sum()), len(frames)
    energy = -3.0 * n_atoms + rng.normal(size=n)
    forces, stress = rng.normal(size=(total, 3)), np.full((n, 3, 3), np.nan)
    stress[1::2] = 0.01 * rng.normal(size=(len(stress[1::2]), 3, 3))
    forces[5] = np.nan
    return Evaluation(
        origins=[f"data.xyz#{i}" for i in range(n)],
        groups=[GROUPS[i % 2] for i in range(n)],
        n_atoms=n_atoms,
        numbers=np.concatenate([atoms.numbers for atoms in frames]),
        reference={"energy": energy, "forces": forces, "stress": stress},
        predicted={
            "energy": energy + 0.005 * n_atoms * rng.normal(size=n),
            "forces": forces + 0.05 * rng.normal(size=forces.shape),
            "stress": stress + 1e-4,
        },
        extrapolating=np.arange(total) % 50 == 0,
    )


def history(epochs: int) -> list[dict[str, float]]:
    def row(epoch: int) -> dict[str, float]:
        decay = float(np.exp(-epoch / 10))
        return {
            "epoch": epoch,
            "learning_rate": 1e-3,
            "train_energy_rmse_meV_per_atom": 4 + 80 * decay,
            "valid_energy_rmse_meV_per_atom": 5 + 80 * decay,
            "train_forces_rmse_meV_per_A": 40 + 700 * decay if epoch else float("nan"),
            "valid_forces_rmse_meV_per_A": 50 + 700 * decay,
        }

    return [row(epoch) for epoch in range(epochs)]


def written(folder: Path, n: int = 24, **changes) -> Path:
    frames = structures(n)
    arguments = {
        "config": Config(
            data=DataConfig(train="data.xyz"), run=RunConfig(folder=Path("runs/nickel & co"))
        ),
        "history": history(40),
        "evaluations": {
            "valid": evaluation_of(frames, 1),
            "test": evaluation_of(frames, 2),
        },
        "baseline": {"energy_rmse_meV_per_atom": 88.0, "forces_rmse_meV_per_A": 760.0},
        "provenance": {"torch": "2.13.0", "data.xyz": "sha256 </script><script>alert(1)</script>"},
        "atoms_of": lambda part, i: frames[i],
    }
    path = folder / "report.html"
    write_report(path, **{**arguments, **changes})
    return path


class Page(HTMLParser):
    """The texts, tags and attributes of a page; complains about unbalanced tags."""

    VOID = ("meta", "link", "img", "br", "hr", "input", "circle", "path")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_the_page_holds_plots_tables_structures_settings_and_provenance(tmp_path):
    page = Page(written(tmp_path))
    # Two learning curves; parity and histogram of three labels for two parts.
    assert page.count("svg") == 2 + 2 * 3 * 2
    assert page.count("canvas") == 6
    assert page.count("details") == 1
    for word in ("nickel & co", "per element", "per group", *GROUPS, "Test", "Validation"):
        assert word in page.text
    for word in (
        "meV/atom",
        "meV/Å",
        "meV/Å³",
        "without a network, validation set: 88.0",
        "batch_size",
        "2.13.0",
    ):
        assert word in page.text


def test_the_page_loads_nothing_and_what_it_quotes_cannot_run(tmp_path):
    path = written(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://""", text)
    assert "<script>alert" not in text
    assert "<b>crystal" not in text
    assert "default-src 'none'" in text


def test_every_picture_says_what_it_shows(tmp_path):
    page = Page(written(tmp_path))
    assert page.count("title") >= 1 + page.count("svg")
    assert page.count("desc") == page.count("svg")
    assert all(a.get("aria-label") for tag, a in page.tags if tag == "canvas")
    assert page.tags[0] == ("html", {"lang": "en"})


def test_many_points_become_a_density_and_the_page_stays_small(tmp_path):
    frames = structures(30_000)
    evaluation = evaluation_of(frames)
    path = written(tmp_path, evaluations={"test": evaluation}, atoms_of=lambda part, i: frames[i])
    assert path.stat().st_size < 500_000


def test_a_run_without_history_labels_or_parts_still_has_a_report(tmp_path):
    frames = structures(4)
    full = evaluation_of(frames)
    bare = Evaluation(
        full.origins, [""] * 4, full.n_atoms, full.numbers, {}, {"energy": full.predicted["energy"]}
    )
    one = evaluation_of(frames[:1])
    for evaluations in ({}, {"valid": bare}, {"valid": one}):
        page = Page(written(tmp_path, evaluations=evaluations, history=[], baseline={}))
        assert "Settings" in page.text


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"report\.html could not be written"):
        written(tmp_path / "file")


# --- in the browser ---------------------------------------------------------------------------


PIXELS = """
const canvas = document.querySelectorAll('canvas')[arguments[0]];
const copy = document.createElement('canvas');
[copy.width, copy.height] = [canvas.width, canvas.height];
const context = copy.getContext('2d', {willReadFrequently: true});
context.drawImage(canvas, 0, 0);
const data = context.getImageData(0, 0, copy.width, copy.height).data;
let drawn = 0, sum = 0;
for (let i = 3; i < data.length; i += 4) {
  if (data[i]) { drawn++; sum = (sum * 31 + data[i - 1] + i) % 1e9; }
}
return [drawn / (canvas.width * canvas.height), sum];
"""


@pytest.mark.chromium
def test_the_page_opens_in_a_browser_without_complaints(browser, tmp_path):
    browser.devtools("Emulation.clearDeviceMetricsOverride")
    browser.ask("POST", "/url", {"url": written(tmp_path).as_uri()})
    assert browser.complaints() == []
    sizes = browser.run(
        "return [...document.querySelectorAll('svg.plot')].map(s => "
        "[s.getBoundingClientRect().width, s.querySelectorAll('path, circle').length])"
    )
    assert len(sizes) == 14
    assert all(width > 250 and marks > 5 for width, marks in sizes)
    # Nothing is cut off at the right.
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
    picture = base64.b64decode(browser.ask("GET", "/screenshot"))
    (tmp_path / "report.png").write_bytes(picture)
    assert len(picture) > 20_000


@pytest.mark.chromium
def test_dragging_rotates_a_structure_and_a_double_click_brings_it_back(browser, tmp_path):
    browser.devtools("Emulation.clearDeviceMetricsOverride")
    browser.ask("POST", "/url", {"url": written(tmp_path).as_uri()})
    for n in (0, 5):
        browser.run("document.querySelectorAll('canvas')[arguments[0]].scrollIntoView()", n)
        drawn, before = browser.run(PIXELS, n)
        assert drawn > 0.01
        box = "document.querySelectorAll('canvas')[arguments[0]].getBoundingClientRect()"
        x, y = browser.run(f"const b = {box}; return [b.x + b.width / 2, b.y + b.height / 2]", n)
        browser.drag(int(x), int(y), 60, 30)
        drawn, after = browser.run(PIXELS, n)
        assert drawn > 0.01
        assert after != before
        browser.run(
            "document.querySelectorAll('canvas')[arguments[0]]"
            ".dispatchEvent(new MouseEvent('dblclick'))",
            n,
        )
        assert browser.run(PIXELS, n)[1] == before
    assert browser.complaints() == []


@pytest.mark.chromium
def test_nothing_is_cut_off_in_any_window_or_scheme(browser, tmp_path):
    assert browser.problems(written(tmp_path).as_uri()) == []
