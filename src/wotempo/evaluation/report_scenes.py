"""The scenes of a run's report: validation scenes that the run kept, the worst and best of the test split, and one as
a moving picture."""

from __future__ import annotations

import json

import pandas as pd

from wotempo.datasets import Progress
from wotempo.errors import UserError
from wotempo.evaluation.pictured import Photographer
from wotempo.navsim.per_scene import by_cause
from wotempo.report.glossary import word
from wotempo.report.pictures.listing import Pictures
from wotempo.report.pictures.scene_card import moving_scene, scene_card
from wotempo.report.run_files import RunFiles
from wotempo.report.situation import PREFIX


def take_pictures(run: RunFiles, counts: dict[str, int], progress: Progress) -> Pictures:
    pictures = Pictures()
    if run.samples:
        cards = [(scene_card(sample), f"scene {sample['token']}") for sample in run.samples]
        pictures.groups["Scenes of validation"] = cards
    else:
        pictures.lacking.append(("No scenes of validation: no samples.npz.", run.anew("tracking.pictures=2")))
    checkpoint = run.folder / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file() or not run.config:
        why = "No scenes of the test split: there is no checkpoints/last.ckpt with a config.yaml."
        pictures.lacking.append((why, f"make resume RUN={run.folder}"))
    elif counts["windows"] == 0:
        pictures.lacking.append(("No scenes of the test split: windows=0.", f"make report RUN={run.folder}"))
    else:
        try:
            _test_scenes(run, counts, Photographer(run.folder, progress), pictures)
        except UserError as error:  # the page is of the run: what else it holds is shown
            pictures.lacking.append((f"No scenes of the test split: {error}.", f"make report RUN={run.folder}"))
    return pictures


def _test_scenes(run: RunFiles, counts: dict[str, int], photographer: Photographer, pictures: Pictures) -> None:
    worst = None
    if run.job.rows is None:
        pictures.lacking.append(("Worst and best scenes: the test split was not scored.", run.again("test=true")))
    else:
        known = run.job.rows[run.job.rows["token"].isin(photographer.scenes)]
        ordered = known.sort_values(["pdms", "fde"], ascending=[True, False])
        worst = str(ordered["token"].iloc[0]) if len(ordered) else None
        for heading, rows in (
            ("Worst scenes by PDMS", ordered.head(counts["scenes"])),
            ("Best scenes by PDMS, of those that drive on", _driving(ordered)[::-1].head(counts["scenes"])),
        ):
            captions = {row["token"]: _caption(row) for _, row in rows.iterrows()}
            causes = dict(zip(rows["token"], rows.get("causes", ["[]"] * len(rows)), strict=True))
            samples = photographer.take(list(captions))
            for sample in samples:
                sample["causes"] = json.loads(causes[str(sample["token"])])
            pictures.groups[heading] = [(scene_card(sample), captions[str(sample["token"])]) for sample in samples]
    tokens = photographer.sequence(worst, counts["windows"])
    log = photographer.scenes[tokens[0]].log.name
    around = "around the worst scene" if worst else "the first of the test split"
    caption = f"{len(tokens)} consecutive windows of {log}, {around}, at real speed"
    if samples := photographer.take(tokens):
        pictures.groups["One scene, moving"] = [(moving_scene(samples), caption)]
    for cause in by_cause(photographer.failed.items()):
        pictures.lacking.append((f"Scenes that cannot be looked at: {cause}.", f"make report RUN={run.folder}"))


def _driving(rows: pd.DataFrame) -> pd.DataFrame:
    """Without stops, which a plan to stand still gets right to the centimetre; all rows where it is not known."""
    return rows[~rows[f"{PREFIX}stop"]] if f"{PREFIX}stop" in rows else rows


def _caption(row: pd.Series) -> str:
    scores = ", ".join(f"{word(name)} {row[name]:.2f}" for name in ("pdms", "nc", "dac", "ep", "ttc", "comfort"))
    apart = f"ADE {row['ade']:.2f} m, FDE {row['fde']:.2f} m" if row["valid"] else row["reason"]
    why = f"; {row['why']}" if row.get("why") else ""  # tables of older runs do not say
    return f"{row['token']} of {row['log']}: {scores}; {apart}{why}"
