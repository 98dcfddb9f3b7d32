"""Pages of the documentation in a browser: nothing is cut off, formulas are set, dark and light."""

import functools
import http.server
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # a browser opens many connections at once


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the documentation and serve it; return its folder and its address."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    handler = functools.partial(Quiet, directory=folder)
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.chromium
def test_no_page_of_the_documentation_cuts_anything_off(browser, site):
    folder, address = site
    pages = sorted(str(p.parent.relative_to(folder)) for p in folder.rglob("index.html"))
    assert len(pages) > 40
    problems = {page: browser.problems(f"{address}/{page}/") for page in pages}
    assert not {page: found for page, found in problems.items() if found}


def test_pages_fetch_nothing_from_other_servers():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "://" not in config.replace("site_url: https://", "").replace("repo_url: https://", "")
    assert (ROOT / "docs" / "assets" / "katex" / "katex.min.js").stat().st_size > 100_000


@pytest.mark.parametrize("name", ["inference", "methane", "training"])
def test_speed_is_compared_only_with_what_was_measured(name: str) -> None:
    """The first row with a structure and a number of threads is that of the original, or none."""
    head, _, *rows = (ROOT / "benchmarks/results/speed" / f"{name}.md").read_text().splitlines()
    titles = [cell.strip() for cell in head.strip("|").split("|")]
    table = [
        dict(zip(titles, (cell.strip() for cell in row.strip("|").split("|")), strict=True))
        for row in rows
    ]
    measured = {(r["structure"], r["threads"]) for r in table if r["program"] == "original"}
    assert measured
    for row in table:
        if (row["structure"], row["threads"]) not in measured:
            assert row["speed / original"] == "–"
