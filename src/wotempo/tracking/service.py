"""wandb's service, asked before anything waits for it: whether it answers, and whether it takes the key."""

from __future__ import annotations

import base64
import json
import netrc
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from wotempo.errors import UserError

ANSWERS_S = 5.0
QUESTION = {"query": "query Viewer { viewer { id } }", "operationName": "Viewer", "variables": {}}


def base_url() -> str:
    """The address that wandb would use."""
    import wandb

    return str(os.environ.get("WANDB_BASE_URL") or wandb.setup().settings.base_url).rstrip("/")


def unreachable(url: str) -> str | None:
    """Why the service does not answer within some seconds; None where it does. UserError where it refuses the key."""
    request = urllib.request.Request(f"{url}/graphql", json.dumps(QUESTION).encode())
    request.add_header("Content-Type", "application/json")
    if key := stored_key(url):
        request.add_header("Authorization", f"Basic {base64.b64encode(f'api:{key}'.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=ANSWERS_S) as answer:
            viewer = (json.loads(answer.read(100_000)).get("data") or {}).get("viewer")
    except urllib.error.HTTPError as error:
        if key and error.code in (401, 403):
            raise _refused(url) from None
        return f"it answers with error {error.code}" if error.code >= 500 else None
    except (OSError, ValueError, AttributeError) as error:
        return str(getattr(error, "reason", error))
    if key and viewer is None:
        raise _refused(url)
    return None


def _refused(url: str) -> UserError:
    return UserError(
        f"wandb's service {url} refuses the key: run 'wandb login' or set WANDB_API_KEY anew, or set "
        "tracking.wandb=offline and run make wandb-sync later"
    )


def stored_key(url: str) -> str | None:
    """The key of the environment, or of ``~/.netrc``, where ``wandb login`` writes it under the host of the service.
    UserError where that file cannot be read."""
    if key := os.environ.get("WANDB_API_KEY"):
        return key
    file = Path(os.environ.get("NETRC", Path.home() / ".netrc")).expanduser()
    try:
        found = netrc.netrc(file).authenticators(urlsplit(url).netloc) if file.is_file() else None
    except netrc.NetrcParseError as error:
        raise UserError(f"{file} cannot be read ({error}): mend it, or set WANDB_API_KEY") from None
    return found[2] if found else None
