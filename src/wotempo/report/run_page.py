"""A run as one page that needs no server and no network. What it lacks is named, with the command that makes it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from wotempo.program import shell_line_of
from wotempo.report.ablation import LOWER_IS_BETTER, SCORES
from wotempo.report.curves import PANELS, Panel, draw, matching
from wotempo.report.drivers import draw_drivers
from wotempo.report.glossary import GLOSSARY, word
from wotempo.report.html import beside, facts, folded, missing, note, page, picture, section, table
from wotempo.report.numbers import as_number
from wotempo.report.pictures.listing import Pictures
from wotempo.report.pictures.scene_picture import legend
from wotempo.report.run_files import RunFiles
from wotempo.report.scores import bootstrap_interval
from wotempo.report.situation import PREFIX, SITUATIONS
from wotempo.report.token_set import Scored, in_words
from wotempo.report.twins import BOUND, TITLES, lines

BADGE = {"accepted": "good", "rejected": "bad"}
MEMORY = Panel("Peak memory so far", "GB", "", caption="of the last attempt")


def run_page(run: RunFiles, pictures: Pictures) -> str:
    parts = [
        _summary(run),
        *_damage(run),
        *_failure(run),
        _criteria(run),
        *_drivers(run),
        _curves(run),
        _scores(run),
        *_twins(run),
        *_scenes(pictures),
    ]
    return page(f"{run.job.variant} · {run.job.verdict['status']}", [*parts, _origin(run)])


def _summary(run: RunFiles) -> str:
    verdict, job = run.job.verdict, run.job
    status = verdict["status"]
    badge = f'<span class="badge {BADGE.get(status, "open")}">{escape(status)}</span>'
    reason = f"<p>{badge} {escape(verdict.get('reason', ''))}</p>"
    alarm = "" if job.accepted else '<p class="fail">This run is not accepted: nothing follows from its figures.</p>'
    known = {
        "data": _text(run.facts.get("data")),
        "seed": str(job.seed),
        "fusion": " ".join(f"{k}={v}" for k, v in run.facts.get("fusion", {}).items() if v is not None),
        "trained": f"{verdict.get('steps', 0)} steps, {verdict.get('epochs', 0)} epochs, {_hours(verdict)}",
        "speed": f"{_number(job.metrics.get('seconds_per_step'))} s per step",
        "memory": f"{_number(_memory(run).get('measured'))} GB at the peak",
        "parameters": f"{run.facts['parameters']:,}" if "parameters" in run.facts else "–",
        "validation": _validation(run),
        "test split": _headline(job.rows),
        "measured on": _measured_on(run),
        "next": _text(verdict.get("next")),
    }
    remark = note(run.facts["note"]) if run.facts.get("note") else ""
    lacks = run.facts.get("not_here")
    remark += "".join(note(str(line)) for line in lacks) if isinstance(lacks, list) else ""
    stage = [run.facts["fusion"]["name"]] if "name" in run.facts.get("fusion", {}) else []
    what = " · ".join([job.variant, *stage, f"seed {job.seed}"])
    return f"<h1>{escape(what)}</h1>" + section("Summary", reason, alarm, facts(known.items()), remark)


def _measured_on(run: RunFiles) -> str:
    sets = [f"{split}: {in_words(about)}" for split, about in run.facts.get("token_sets", {}).items()]
    if run.job.rows is not None:
        sets.append(f"test: {Scored.in_rows(run.job.rows)}")
    return "; ".join(sets) or "no token set: this run is from before they were recorded"


def _damage(run: RunFiles) -> list[str]:
    return [section("Files that cannot be read", *map(note, run.damage), mark="alarm")] if run.damage else []


def _failure(run: RunFiles) -> list[str]:
    if run.job.accepted:
        return []
    failed = [c for c in run.job.verdict["criteria"] if c["status"] == "fail"]
    lines = "".join(f"<p><b>{escape(c['name'])}</b>: {escape(c['message'])}. {escape(c['hint'])}</p>" for c in failed)
    if not failed:
        lines = f"<p>No criterion failed; the run ended early: {escape(run.job.verdict.get('reason', ''))}</p>"
    found = f"<pre>{escape(run.diagnosis)}</pre>" if run.diagnosis else "<p>No step failed: there is no diagnosis.</p>"
    return [section(f"Not accepted: {run.job.verdict['status']}", lines, found, mark="alarm")]


def _criteria(run: RunFiles) -> str:
    rows = [
        (
            str(c.get("number", "")),
            c["name"],
            (c["status"], c["status"]),
            _number(c.get("measured")),
            f"{c.get('sense', '')} {_number(c.get('limit'))} {c.get('unit', '')}",
            c.get("message", ""),
        )
        for c in run.job.verdict["criteria"]
    ]
    if not rows:
        return section("Acceptance", "<p>No criterion was judged.</p>")
    heads = ("#", "criterion", "verdict", "measured", "limit", "finding")
    return section("Acceptance", table(heads, rows, numeric=("#", "measured")))


def _drivers(run: RunFiles) -> list[str]:
    by_name: dict[str, dict[str, Any]] = {c["name"]: c for c in run.job.verdict["criteria"]}
    found = by_name.get("plan", {}).get("details", {})
    if (drawn := draw_drivers(found)) is None:
        return []
    caption = f"{found.get('scenes', '–')} validation scenes, {found.get('scored', '–')} of them scored"
    return [section("The plan beside simple drivers", picture(drawn, "svg+xml", caption, _drivers_in_words(found)))]


def _drivers_in_words(found: dict[str, Any]) -> str:
    return ", ".join(f"{name}: ADE {as_number(ade):.2f} m" for name, ade in found["ade"].items())


def _curves(run: RunFiles) -> str:
    if run.curves.empty:
        return section("Curves", missing("There is no metrics/metrics.csv.", run.anew("tracking.csv=true")))
    shown, lacking = [], []
    last = int(run.curves["step"].max())
    for panel in PANELS:
        if series := matching(panel, run.curves):
            spoken = f"{panel.title}: {panel.caption}"
            shown.append(picture(draw(panel, series, last), "svg+xml", panel.caption, spoken))
        else:
            lacking.append(panel.title)
    samples = _memory(run).get("details", {}).get("peak_gb_by_batch")
    if samples:
        peak = pd.Series([pair[-1] for pair in samples], index=[pair[0] for pair in samples])
        shown.append(picture(draw(MEMORY, {"peak": peak}, last), "svg+xml", MEMORY.caption, MEMORY.title))
    else:
        lacking.append(f"{MEMORY.title} over the batches")
    absent = note(f"This run did not log: {'; '.join(lacking)}.") if lacking else ""
    how = note("Of losses the faint line is every step, the strong one a running median.")
    return section("Curves", how, beside(shown), absent)


def _scores(run: RunFiles) -> str:
    rows = run.job.rows
    if rows is None:
        lack = missing("The test split was not scored: no test.parquet.", run.again("test=true"))
        return section("Test split", lack)
    kinds = {"all scenes": rows}
    for name in SITUATIONS:
        if f"{PREFIX}{name}" in rows:
            kinds[name] = rows[rows[f"{PREFIX}{name}"]]
    metrics = (*SCORES, *LOWER_IS_BETTER)
    lines = [[name, str(len(of)), *(_mean(of, metric) for metric in metrics)] for name, of in kinds.items()]
    heads = ("", "scenes", *(word(metric) for metric in metrics))
    text = (
        "Means over scenes, by what happens in them (a scene may be of several kinds); in brackets the 95 % interval "
        f"of PDMS, which draws whole logs. {GLOSSARY}"
    )
    old = ""
    if len(kinds) == 1:
        anew = f"rm {run.folder}/test.parquet; {run.again('test=true')}"
        old = missing("It was scored before situations were stored.", anew)
    return section("Test split", table(heads, lines, numeric=heads[1:]), note(text), old)


def _twins(run: RunFiles) -> list[str]:
    """Of runs whose test split has twin scenes."""
    rows = run.job.twins
    if rows is None:
        return []
    figures = {**BOUND, **TITLES}
    heads = ("", "pairs", *figures.values())
    bodies = [[cell.replace(" [", "\n[") for cell in line] for line in lines(rows, figures)]
    text = (
        "Pairs of scenes with one current frame and two histories. Blind bound: PDMS of the best choice of one anchor "
        "for both; with history: of the best anchor in each; headroom: the difference. In brackets 95 % intervals, "
        "which draw whole districts. Share: the part of the headroom that the driven plans reach, and that the anchors "
        "reach from which they were made; it may be negative, and refined plans may pass a bound of anchors."
    )
    return [section("Twin scenes of the test split", table(heads, bodies, numeric=heads[1:]), note(text))]


def _scenes(pictures: Pictures) -> list[str]:
    parts = [section("How to read the scenes", _scene_key())] if pictures.groups else []
    for title, cards in pictures.groups.items():
        parts.append(section(title, *(picture(image, "webp", caption) for image, caption in cards)))
    absent = "".join(missing(what, command) for what, command in pictures.lacking)
    return [*parts, section("Not shown", absent)] if absent else parts


def _scene_key() -> str:
    swatches = "".join(f'<span class="swatch" style="background:{ink}"></span>{name}' for name, ink in legend())
    return f'<p class="note">BEV maps:{swatches}.</p>' + note(
        "The ego looks up; axes are metres ahead and to the left. LiDAR history: past frames red, older ones paler, "
        "the current frame blue; after a right warp what stands still is dark, because the frames lie on each other. "
        "Plans are coloured by the rank of their reward. Pink: the chosen one; green: what the expert drove; both with "
        "the metres they cover in 4 s. Red: why a sub-score is lost, with the boxes of the object and (dotted) of the "
        "ego at that time. The maps in 4 s are those of the anchor nearest to the expert's way."
    )


def _origin(run: RunFiles) -> str:
    git, verdict = run.facts.get("git") or {}, run.job.verdict
    state = (
        f"{git.get('commit', '?')}{' with uncommitted changes' if git.get('dirty') else ''}" if git else "no checkout"
    )
    command = f"<h3>The command</h3><pre>{escape(shell_line_of(run.facts.get('command')))}</pre>"
    known = {"git": state, "signature": _text(run.facts.get("signature")), "folder": run.folder.name}
    known |= {name: str(version) for name, version in verdict.get("versions", {}).items()}
    known |= {"started": _text(verdict.get("started")), "ended": _text(verdict.get("written"))}
    config = folded("config.yaml", run.config) if run.config else "<p>There is no config.yaml.</p>"
    return section("Where it comes from", command, facts(known.items()), config,
                   folded("verdict.json", json.dumps(verdict, indent=1)))  # fmt: skip


def _memory(run: RunFiles) -> dict[str, Any]:
    """The criterion as the verdict has it; empty where it was not judged."""
    return next((c for c in run.job.verdict["criteria"] if c["name"] == "memory"), {})


def _validation(run: RunFiles) -> str:
    metrics = run.job.metrics
    shown = {"val/loss": "loss {}", "val/ade": "ADE {} m", "val/fde": "FDE {} m", "val/bev_miou": "BEV mIoU {}"}
    known = [text.format(_number(metrics[name])) for name, text in shown.items() if name in metrics]
    return ", ".join(known) or "not validated"


def _headline(rows: pd.DataFrame | None) -> str:
    return "not scored" if rows is None else f"PDMS {_mean(rows, 'pdms')} over {len(rows)} scenes"


def _mean(rows: pd.DataFrame, metric: str) -> str:
    known = rows[rows[metric].notna()]
    if known.empty:
        return "–"
    if metric != "pdms":  # with all their intervals the table is wider than a page
        return f"{known[metric].mean():.3f}"
    low, high = bootstrap_interval(known[metric].to_numpy(float), known["log"].to_numpy())
    return f"{known[metric].mean():.3f}" + (f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else "")


def _number(value: float | str | None) -> str:
    """A verdict says "nan" and "inf" in words, because JSON has no such numbers."""
    if isinstance(value, str):
        return escape(value)
    return "–" if value is None else f"{value:.4g}"


def _hours(verdict: dict) -> str:
    seconds = verdict.get("seconds", 0)
    return f"{seconds / 3600:.1f} h" if seconds > 3600 else f"{seconds / 60:.1f} min"


def _text(value: object) -> str:
    return "–" if value is None else str(value)
