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
