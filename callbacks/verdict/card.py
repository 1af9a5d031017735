"""The verdict as a card of plain text and as a Markdown page, both from its plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callbacks.base.markdown import inline, one_line, row

WORDS = {"pass": "pass", "fail": "FAIL", "skipped": "skip", "inconclusive": "open", "pending": "…"}


def word(criterion: Mapping[str, Any]) -> str:
    """One short word; what does not count is in lower case."""
    text = WORDS[criterion["status"]]
    if criterion["status"] == "fail" and criterion["policy"] == "warn":
        return "warn"
    counts = criterion["status"] == "inconclusive" and criterion["policy"] == "fail"
    return text.upper() if counts and not criterion["allow_inconclusive"] else text


def number(value: Any) -> str:
    """A measured value or a limit for a narrow column."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def limit(criterion: Mapping[str, Any]) -> str:
    return "–" if criterion["limit"] is None else f"{criterion['sense']} {number(criterion['limit'])}"


def changed(facts: Mapping[str, Any]) -> list[str]:
    """A sentence for each interruption after which the run went on with something else than before."""
    entries = [entry for entry in facts.get("resumed", ()) if entry.get("changed")]
    return [f"from step {entry['step']} on it ran with {'; '.join(entry['changed'])}" for entry in entries]


def card(verdict: Mapping[str, Any]) -> str:
    """One line per criterion: number, name, verdict, measured, limit, message; then the reason and the next step."""
    facts = verdict["facts"]
    title = " · ".join(one_line(facts[key]) for key in ("name", "data") if key in facts)
    lines = [f"{verdict['status'].upper()} (exit {verdict['exit_code']})" + (f" · {title}" if title else "")]
    lines.append(f"  {'#':>2} {'criterion':<14}{'verdict':<8}{'measured':>9}  {'limit':<9}finding")
    for c in verdict["criteria"]:
        begin = f"  {c['number']:>2} {c['name']:<14}{word(c):<8}{number(c['measured']):>9}  {limit(c):<9}"
        lines.append(f"{begin}{c['message']}".rstrip())
    lines += [f"  CHANGED: {sentence}" for sentence in changed(facts)]
    if "history" in facts:
        lines.append(f"  history: {facts['history']}")
    if verdict["cost"]["share"] is not None:
        apart = verdict["cost"].get("seconds_apart")
        rest = "" if apart is None else f", and {apart:.1f} s at its start, in validation and at its end"
        lines.append(f"  checks took {verdict['cost']['share']:.1%} of the training time{rest}")
    if "failure" in facts:
        lines.append(f"  evidence: {facts['failure']}")
    lines.append(f"  why:  {verdict['reason']}")
    lines.append(f"  next: {verdict['next']}")
    return "\n".join(lines)


def markdown(verdict: Mapping[str, Any]) -> str:
    """The same as a page, with the facts of the run."""
    lines = [f"# Verdict: {verdict['status']} (exit {verdict['exit_code']})", "", inline(verdict["reason"]), ""]
    lines += [line for sentence in changed(verdict["facts"]) for line in (f"**Changed: {inline(sentence)}.**", "")]
    lines += ["| # | criterion | verdict | measured | limit | unit | finding |", "|---|---|---|---|---|---|---|"]
    for c in verdict["criteria"]:
        cells = [c["number"], c["name"], word(c), number(c["measured"]), limit(c), c["unit"], c["message"]]
        lines.append(row(cells))
    lines += ["", f"Next: {inline(verdict['next'])}", ""]
    lines += [f"- {verdict['steps']} steps, {verdict['epochs']} epochs, {verdict['seconds']} s, {verdict['started']}"]
    share = verdict["cost"]["share"]
    lines += [] if share is None else [f"- checks took {share:.2%} of the training time"]
    lines += [f"- {inline(key)}: {inline(value)}" for key, value in {**verdict["facts"], **verdict["versions"]}.items()]
    return "\n".join(lines) + "\n"
