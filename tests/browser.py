"""A headless Chromium for tests of HTML pages."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

WIDE, NARROW = 1280, 360
"""Widths of a window, in pixels."""
CHOSEN = {"light": "default", "dark": "slate"}
"""Names of the schemes in the documentation, which remembers the choice of a reader."""

BROKEN = r"""
const found = [...document.querySelectorAll('.katex-error')].map((e) => e.textContent);
for (const e of document.querySelectorAll('.arithmatex')) {
  if (!e.querySelector('.katex')) found.push(e.textContent);
}
for (const e of document.images) if (!e.naturalWidth) found.push('no picture: ' + e.src);
if (document.documentElement.scrollWidth > window.innerWidth) found.push('wider than the window');
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const text = texts.currentNode;
  if (text.parentElement.closest('code, pre, script, style, textarea, .katex')) continue;
  if (/\\[([]|\\[a-z]{3,}\b|\$\$/.test(text.textContent)) found.push('TeX: ' + text.textContent);
}
for (const e of document.querySelectorAll('svg.plot text')) {
  const [box, plot] = [e, e.ownerSVGElement].map((x) => x.getBoundingClientRect());
  if (box.width && (box.left < plot.left - 1 || box.right > plot.right + 1)) {
    found.push('label outside its plot: ' + e.textContent);
  }
}
for (const e of document.querySelectorAll('img[src$="#only-light"]')) {
  const other = e.getAttribute('src').replace(/light/g, 'dark');
  if (!document.querySelector(`img[src="${other}"]`)) found.push('no dark variant: ' + e.src);
}
return found;
"""

CUT_OFF = """
const wide = (selector) => [...document.querySelectorAll(selector)]
  .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText.slice(0, 60));
return wide('.md-typeset__scrollwrap, .md-typeset pre > code, div.arithmatex, main .scroll');
"""
"""Boxes that scroll, which a reader with a wide window should not need."""


class Browser:
    """Headless Chromium through chromedriver's plain HTTP interface."""

    FLAGS = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--disable-dev-shm-usage", "--window-size=1200,1000"),
    )

    def __init__(self, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            ["chromedriver", f"--port={port}"],  # noqa: S607
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.base = f"http://127.0.0.1:{port}"
        self._wait()
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": [*self.FLAGS, f"--user-data-dir={profile}"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{session['sessionId']}"

    def _wait(self) -> None:
        for _ in range(100):
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if self.ask("GET", "/status")["ready"]:
                    return
            time.sleep(0.1)
        pytest.fail("chromedriver does not answer")

    def ask(self, method: str, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["value"]

    def run(self, script: str, *arguments):
        body = {"script": script, "args": list(arguments)}
        return self.ask("POST", "/execute/sync", body)

    def drag(self, x: int, y: int, dx: int, dy: int) -> None:
        def move(x: int, y: int) -> dict:
            return {"type": "pointerMove", "x": x, "y": y, "duration": 50}

        steps = [
            *(move(x, y), {"type": "pointerDown", "button": 0}),
            *(move(x + dx // 2, y + dy // 2), move(x + dx, y + dy)),
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": steps}
        self.ask("POST", "/actions", {"actions": [mouse]})

    def devtools(self, command: str, **parameters):
        """Execute a command of Chromium's DevTools protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def complaints(self) -> list[str]:
        found = self.ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in found]

    def close(self) -> None:
        try:
            self.ask("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait(30)

    def problems(self, address: str) -> list[str]:
        """Return what is wrong with a page in wide and narrow windows, in light and dark."""
        self._show(WIDE, "light")
        self.ask("POST", "/url", {"url": address})
        found: list[str] = []
        for width, scheme in ((WIDE, "light"), (WIDE, "dark"), (NARROW, "dark"), (NARROW, "light")):
            self._show(width, scheme)
            for _ in range(10):  # scripts may take up to five seconds
                wrong = self.run(BROKEN) + (self.run(CUT_OFF) if width == WIDE else [])
                if not wrong:
                    break
                time.sleep(0.5)
            found += [f"{width} px, {scheme}: {text}" for text in wrong]
        return found + self.complaints()

    def _show(self, width: int, scheme: str) -> None:
        """Set the width of the window, and the scheme that the reader prefers."""
        medium = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", features=medium)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        choice = "document.querySelector(`input[data-md-color-scheme=${arguments[0]}]`)?.click()"
        self.run(choice, CHOSEN[scheme])
