"""An evaluation as a wandb run of its own, in the group of the run whose checkpoint it scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callbacks.base.plain import in_one_line
from wotempo.config.schema import TrackingConfig
from wotempo.pdm.metrics import PDMS_COLUMNS
from wotempo.records.reading import read_verdicts
from wotempo.tracking.options import wandb_options
from wotempo.tracking.tags import label, labels

MODEL = "model"


def scores_of_drivers(content: dict[str, Any]) -> dict[str, float]:
    """``evaluate/<driver>/<column>``; the model's PDMS on the test split also as training calls it, ``test/<name>``."""
    drivers = content["drivers"]
    scores = {f"evaluate/{driver}/{name}": value for driver, row in drivers.items() for name, value in row.items()}
    if MODEL in drivers and (content["metric"], content["stage"]) == ("pdms", "test"):
        own = {**{name: name for name in ("ade", "fde")}, **PDMS_COLUMNS}
        named = {"pdms" if name == "score" else name: drivers[MODEL].get(column) for name, column in own.items()}
        scores |= {f"test/{name}": value for name, value in named.items() if value is not None}
    return scores


def track_evaluation(tracking: TrackingConfig, run_dir: Path, content: dict[str, Any]) -> None:
    """``content``: that of summary.json, with ``stage`` and ``data``."""
    if tracking.wandb == "off":
        return
    import wandb

    about = {name: value for name, value in content.items() if name not in ("drivers", "history")}
    origin = Path(content["checkpoint"]).parent.parent if content["checkpoint"] else run_dir
    verdicts, notes = read_verdicts([origin])
    for note in notes:  # the scores do not rest on it
        print(note, flush=True)
    verdict = verdicts.get(origin)
    facts = verdict["facts"] if verdict else {}
    options = wandb_options(tracking)
    try:
        with wandb.init(
            name=label(f"evaluate-{facts.get('signature', run_dir.name)}"),
            group=label(facts["signature"]) if "signature" in facts else None,
            job_type="evaluate",
            tags=labels([content["data"], content["metric"], *tracking.tags]),
            notes=content["note"] or None,
            dir=str(run_dir),
            config={**about, "of": {"verdict": verdict and verdict["status"], **facts}},
            **options,
        ) as run:
            run.summary.update(scores_of_drivers(content))
            run.summary.update({f"history/{name}": value for name, value in content.get("history", {}).items()})
    except Exception as error:  # the scores are written, and do not rest on it
        print(f"wandb did not take these scores ({in_one_line(error)}): they are in {run_dir}", flush=True)
