"""Pages of the documentation in a browser: nothing is cut off, and formulas are set."""

import functools
import http.server
import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from browser import Browser

ROOT = Path(__file__).parents[2]
WIDE, NARROW = 1440, 360
CUT_OFF = """
const wide = (selector, width) => [...document.querySelectorAll(selector)]
  .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText.slice(0, 60));
const found = wide('.md-typeset__scrollwrap, .md-typeset pre > code, div.arithmatex');
return arguments[0] ? found : [];
"""
BROKEN = """
const found = [...document.querySelectorAll('.katex-error')].map((e) => e.textContent);
for (const e of document.querySelectorAll('.arithmatex')) {
  if (!e.querySelector('.katex')) found.push(e.textContent);
}
for (const e of document.images) if (!e.naturalWidth) found.push(e.src);
if (document.documentElement.scrollWidth > window.innerWidth) found.push('wider than the window');
return found;
"""


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    session = Browser(tmp_path_factory.mktemp("profile"))
    yield session
    session.close()


def show(browser, width, scheme):
    """Set the width of the window, and the scheme that the system prefers."""
    medium = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.devtools("Emulation.setEmulatedMedia", features=medium)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.devtools("Emulation.setDeviceMetricsOverride", **size)


def problems_of(browser, width):
    """Return what is wrong with the page, after up to five seconds for scripts to finish."""
    for _ in range(10):
        found = browser.run(BROKEN) + browser.run(CUT_OFF, width == WIDE)
        if not found:
            break
        time.sleep(0.5)
    return found


@pytest.mark.slow
@pytest.mark.chromium
def test_no_page_of_the_documentation_cuts_anything_off(browser, site):
    folder, address = site
    pages = sorted(str(p.parent.relative_to(folder)) for p in folder.rglob("index.html"))
    assert len(pages) > 40
    problems = {}
    for page in pages:
        show(browser, WIDE, "light")
        browser.ask("POST", "/url", {"url": f"{address}/{page}/"})
        found = problems_of(browser, WIDE)
        show(browser, NARROW, "dark")
        found += problems_of(browser, NARROW) + browser.complaints()
        if found:
            problems[page] = found
    assert not problems


def test_pages_fetch_nothing_from_other_servers():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "://" not in config.replace("site_url: https://", "").replace("repo_url: https://", "")
    assert (ROOT / "docs" / "assets" / "katex" / "katex.min.js").stat().st_size > 100_000
