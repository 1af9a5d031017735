"""A real browser without a window: what a page looks like, and whether it asks the network for anything.

Spoken to over a pair of pipes (Chrome DevTools Protocol, --remote-debugging-pipe: JSON messages that end in a zero
byte), which needs no port and no package.
"""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from patience import HANGS_S
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "NO BROWSER: the pages were not looked at; install one (apt-get install chromium)"
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
           "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe")  # fmt: skip
# Sections that are wider than their place have to be moved sideways to be read: what is cut is not seen.
LOOK = """
document.querySelectorAll('details').forEach(part => part.open = %s);
Promise.all([...document.images].map(image => image.decode().catch(() => null))).then(() => JSON.stringify({
  width: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
  images: document.images.length,
  unloaded: [...document.images].filter(image => !image.naturalWidth).map(image => image.alt),
  cut: [...document.querySelectorAll('section, .pair > *')].filter(part => part.scrollWidth > part.clientWidth + 1)
       .map(part => part.querySelector('h2, h3')?.textContent ?? part.textContent.slice(0, 40)),
}))
"""


def find_browser() -> str:
    """Its program; installed where CI says so; else the test is skipped, and says so loudly."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI") and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True)
        found = shutil.which("chromium")
    if found is None:
        print(NO_BROWSER, file=sys.stderr)
        pytest.skip(NO_BROWSER)
    return found


@dataclass(frozen=True)
class Look:
    """``width`` and ``height`` of the whole page in pixels; ``cut``: headings of what is wider than its place;
    ``asked``: addresses that it asked for besides itself; ``console``: errors and warnings of its console."""

    picture: Image.Image
    width: int
    height: int
    images: int
    unloaded: list[str]
    cut: list[str]
    asked: list[str]
    console: list[str]


class Browser:
    """``with Browser(folder) as browser: browser.look(page)``; ``folder`` holds its profile."""

    def __init__(self, folder: Path) -> None:
        (reads, self._out), (self._in, writes) = os.pipe(), os.pipe()
        # Above the two numbers that the browser expects, so that neither is overwritten by the other's copy.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (reads, writes)]
        null = os.open(os.devnull, os.O_WRONLY)
        ends = [(os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)]
        quiet = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
        program = find_browser()
        self._pid = os.posix_spawn(program, [program, *OPTIONS, f"--user-data-dir={folder}", "about:blank"], os.environ,
                                   file_actions=[*ends, *quiet], setpgroup=0)  # fmt: skip
        for end in (reads, writes, *high, null):
            os.close(end)
        self._rest, self._calls, self._events = b"", 0, list[dict[str, Any]]()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._in)
        os.close(self._out)

    def look(self, page: Path, width: int = 1100, tallest: int = 1500, unfolded: bool = False) -> Look:
        """The page in a window of ``width``, drawn without any network down to its end, or to ``tallest``."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

        def call(method: str, **given: Any) -> dict[str, Any]:
            return self._call(method, session, **given)

        for domain in ("Page", "Network", "Log", "Runtime"):
            call(f"{domain}.enable")
        _window(call, width, 900)
        address = page.resolve().as_uri()
        self._events.clear()
        call("Page.navigate", url=address)
        self._until(lambda event: event["method"] == "Page.loadEventFired")
        found = call("Runtime.evaluate", expression=LOOK % str(unfolded).lower(), awaitPromise=True, returnByValue=True)
        seen = json.loads(found["result"]["value"])
        _window(call, width, min(tallest, seen["height"]))
        shot = call("Page.captureScreenshot", format="png")["data"]
        self._call("Target.closeTarget", targetId=target)
        events = [event for event in self._events if event.get("sessionId") == session]
        picture = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB")
        return Look(picture, **seen, asked=_asked(events, address), console=_console_lines(events))

    def _call(self, method: str, session: str | None = None, **given: Any) -> dict[str, Any]:
        self._calls += 1
        number, whose = self._calls, {"sessionId": session} if session else {}
        os.write(self._out, json.dumps({"id": number, "method": method, "params": given, **whose}).encode() + b"\0")
        answer = self._until(lambda message: message.get("id") == number)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message that is ``wanted``, one that came already included; events on the way are kept."""
        deadline = time.monotonic() + HANGS_S
        for event in self._events:
            if wanted(event):
                return event
        while True:
            while b"\0" not in self._rest:
                ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
                assert ready, "the browser does not answer"
                more = os.read(self._in, 1 << 20)
                assert more, "the browser has ended"
                self._rest += more
            line, _, self._rest = self._rest.partition(b"\0")
            message = json.loads(line)
            if "method" in message:
                self._events.append(message)
            if wanted({"method": "", **message}):
                return message


def _window(call: Callable[..., dict[str, Any]], width: int, height: int) -> None:
    call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)


def _asked(events: list[dict[str, Any]], page: str) -> list[str]:
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [address[:200] for address in asked if address != page and not address.startswith("data:")]


def _console_lines(events: list[dict[str, Any]]) -> list[str]:
    told = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    return [json.dumps(event["params"])[:400] for event in events if event["method"] in told]


def save_small(picture: Image.Image, path: Path, limit: int = 150_000) -> None:
    """A PNG with a palette, at most ``limit`` bytes. An octree keeps rare colours: a red mark stays red."""
    width = picture.width
    while True:
        small = picture.resize((width, picture.height * width // picture.width), Image.Resampling.LANCZOS)
        small.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= limit:
            return
        width = int(0.9 * width)
