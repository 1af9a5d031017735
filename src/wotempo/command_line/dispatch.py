"""The main of ``wotempo <command> key=value …``.

A command's module runs as ``python -m wotempo.commands.<command>`` would run it, in this process: it is ``__main__``,
so that the processes that Lightning, Hydra and multiprocessing start for a run are started by its name.
"""

from __future__ import annotations

import gc
import runpy
import sys

from wotempo.command_line.table import COMMANDS, HELP, module_of, overview, show
from wotempo.endings import ended_by
from wotempo.errors import UserError, nearest

COMPLETION = ("--shell-completion", "-sc")


def main() -> None:
    """Exits with the command's code; 2 for an unknown command."""
    words = sys.argv[1:]
    if any(word in COMPLETION for word in words):
        from wotempo.command_line.completion import complete

        complete(words)
    elif not words:
        print(overview(), file=sys.stderr)
        sys.exit(UserError.exit_code)
    elif words[0] in HELP:
        show(overview())
    elif words[0] not in COMMANDS:
        print(f"error: there is no command '{words[0]}': {nearest(words[0], COMMANDS)}", file=sys.stderr)
        sys.exit(UserError.exit_code)
    else:
        sys.argv = [sys.argv[0], *words[1:]]
        gc.disable()  # a sixth of the time of importing, which leaves no garbage; the command's frame enables it
        try:
            runpy.run_module(module_of(words[0]), run_name="__main__", alter_sys=True)
        except Exception as error:  # while it is imported: later ones end in its own frame
            sys.exit(ended_by(error))
        finally:
            gc.enable()
