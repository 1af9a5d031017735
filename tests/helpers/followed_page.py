"""A page "add a …" of docs/, followed word by word in a copy of the sources."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from patience import HANGS_S
from small_run import SMALL as SMALL_RUN

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("src", "configs", "callbacks", "docs", "tests", "Makefile", "pyproject.toml", "constraints.txt")
# What makes a page's runs last seconds: on the micro town, and on any data.
MICRO = " ".join(word for word in SMALL_RUN if not word.startswith("trainer.max_epochs")) + " profile=smoke"
OF_ANY_DATA = "data.prepare_workers="
SMALL = " ".join(word for word in MICRO.split() if not word.startswith("data.") or word.startswith(OF_ANY_DATA))


class Page:
    """``files``: (name, text) of those that the page adds, each block after "in `name`"; ``entries``: (name, text) of
    each block after "at the end of `name`"; ``commands``: the lines of its bash blocks."""

    def __init__(self, name: str) -> None:
        text = (REPOSITORY / "docs" / name).read_text()
        block = r" `([\w/.]+)`(?:(?!```|`[\w/]+\.(?:py|yaml)`).)*```(?:python|yaml)\n(.*?)```"  # no other file between
        self.files: list[tuple[str, str]] = re.findall("in" + block, text, re.DOTALL)
        self.entries: list[tuple[str, str]] = re.findall("at the end of" + block, text, re.DOTALL)
        blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        self.commands = [line for block in blocks for line in block.splitlines()]

    def copied_to(self, root: Path, workspace: Path | None = None) -> Path:
        """``root``: the sources with the page's files in them, a .venv that is this environment, and a workspace."""
        ignored = shutil.ignore_patterns("*.egg-info", "configs")
        for part in PARTS:
            source, target = REPOSITORY / part, root / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_file():
                shutil.copy(source, target)
            else:
                shutil.copytree(source, target, ignore=ignored if part == "src" else None)
        (root / "src/wotempo/configs").symlink_to(root / "configs")  # as the installed package has it
        for name, text in self.files:
            assert not (root / name).exists()
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        for name, text in self.entries:
            (root / name).write_text((root / name).read_text() + text)
        python = root / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        (root / ".venv/.wotempo-setup").touch()
        if workspace is not None:
            shutil.copytree(workspace, root / "workspace")
        return root

    def keeps_the_house_rules(self, copy: Path) -> None:
        """Lint and format of its Python files; CalledProcessError where one is broken."""
        files = [str(copy / name) for name, _ in self.files if name.endswith(".py")]
        for check in (("check",), ("format", "--check")):
            subprocess.run([sys.executable, "-m", "ruff", *check, *files], cwd=copy, check=True, capture_output=True)


def follow(copy: Path, command: str, more: str = "") -> str:
    """Type ``command`` in ``copy``, with ``more`` keys in its ARGS -> what it printed; AssertionError if it fails."""
    words = shlex.split(command)
    if more:
        words = [f"{word} {more}" if word.startswith("ARGS=") else word for word in words]
    ours = os.pathsep.join((str(copy / "src"), str(copy)))
    # What `make test ARGS=…` and its pytest would pass on to this make and its own pytest.
    outer = ("MAKE", "ARGS", "PYTEST_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    done = subprocess.run(
        words,
        cwd=copy,
        env=plain | {"PYTHONPATH": ours},
        capture_output=True,
        text=True,
        timeout=2 * HANGS_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
