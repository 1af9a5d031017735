"""A real browser without a window: what a page looks like, and whether it asks the network for anything."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "NO BROWSER: the pages were not looked at; install one (apt-get install chromium)"


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


def screenshot(page: Path, width: int = 1100, height: int = 1500) -> Image.Image:
    """The page as it is drawn without any network."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                   f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND",
                   f"--window-size={width},{height}", f"--screenshot={picture}"]  # fmt: skip
        subprocess.run(
            [find_browser(), *options, page.resolve().as_uri()], check=True, capture_output=True, timeout=120
        )
        return Image.open(io.BytesIO(picture.read_bytes())).convert("RGB")


def save_small(picture: Image.Image, path: Path, limit: int = 150_000) -> None:
    """A PNG with a palette, at most ``limit`` bytes."""
    width = picture.width
    while True:
        small = picture.resize((width, picture.height * width // picture.width), Image.Resampling.LANCZOS)
        small.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= limit:
            return
        width = int(0.9 * width)


if __name__ == "__main__":  # python tests/report/browser.py page.html picture.png [height]: the pictures of the README
    height = int(sys.argv[3]) if len(sys.argv) > 3 else 1500
    save_small(screenshot(Path(sys.argv[1]), height=height), Path(sys.argv[2]))
