"""Names, reasons and notes of any origin: a page, a table, a csv file, a terminal and wandb show them as they are."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from report_runs import run_folder, scored

from callbacks.base.markdown import inline, one_line, row
from callbacks.verdict.card import markdown
from wotempo.commands import compare, leaderboard, report
from wotempo.doctor.finding import Finding, table
from wotempo.records.reading import Damaged, completed, read_verdict
from wotempo.report.curves import Panel, draw
from wotempo.report.scores import write_official
from wotempo.report.terminal import console
from wotempo.tracking.tags import label, labels

HOSTILE = {
    "a column": "a|b",
    "a column behind a backslash": "a\\|b",
    "a line": "a\n| accepted | 99 |",
    "a line of Windows": "a\r\nb",
    "a line of other kinds": "a\u2028b\x85c",
    "code that is not closed": "a`b",
    "HTML": "<script>alert(1)</script>",
    "a comment": "<!-- a",
    "marks of rich": "[/bold] [red]x[/red]",
    "a terminal's own": "\x1b[2Ja\x1b]0;b\x07",
    "letters turned round": "a\u202eb",
    "a formula": "=cmd|' /C calc'!A0",
    "mathematics": "$\\frac{$ x_$",
    "nothing but blanks": " \t ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_cell_is_one_cell_of_one_line(name):
    line = row([HOSTILE[name], "next"])
    assert len(line.splitlines()) == 1
    unescaped = re.sub(r"\\[\\|`<]", "", line)
    assert unescaped.count("|") == 3
    assert unescaped.count("`") % 2 == 0
    assert not re.search(r"<[A-Za-z/!]", unescaped)
    assert line.isprintable()


def test_what_is_no_mark_stays():
    for text in ("loss < 0.5", "fusion.num_frames=4", "see `evidence.fixed_batches`", "Δ 0.3 [−0.1, 0.2] ✗", "a_b*c"):
        assert inline(text) == one_line(text) == text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_verdicts_page_keeps_its_lines(name):
    text = HOSTILE[name]
    criterion = {
        "number": 1,
        "name": text,
        "status": "fail",
        "message": text,
        "hint": text,
        "allow_inconclusive": False,
    }
    verdict = {"status": "rejected", "reason": text, "next": text, "facts": {"name": text, text: text}, "started": "",
               "seconds": 1, "epochs": 1, "cost": {"share": None}, "versions": {}, "criteria": [criterion]}  # fmt: skip
    plain = json.loads(json.dumps(verdict).replace(json.dumps(text)[1:-1], "plain"))
    pages = [markdown(completed(held)).splitlines() for held in (verdict, plain)]
    assert len(pages[0]) == len(pages[1])
    kinds = [[re.match(r"[#|*-]*", line).group() for line in page] for page in pages]
    assert kinds[0] == kinds[1]


class Balanced(HTMLParser):
    """Tags that were opened, with how often."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)


def test_pages_of_runs_with_hostile_names(tmp_path, capsys):
    for i, text in enumerate(HOSTILE.values()):
        folder = run_folder(tmp_path / "runs" / f"{i}", "x", scores=scored(seed=i + 1), lr=i)
        (folder / "config.yaml").write_text(json.dumps({"name": text, "seed": 0, "lr": i}))
        verdict = json.loads((folder / "verdict.json").read_text())
        verdict["facts"] |= {"name": text, "note": text}
        verdict["criteria"][1]["message"] = text
        if i % 2:
            verdict |= {"status": text, "reason": text}
        (folder / "verdict.json").write_text(json.dumps(verdict))
    assert leaderboard.main([str(tmp_path / "runs"), f"out={tmp_path / 'board'}"]) == 0
    lines = (tmp_path / "board.md").read_text().split("\n")
    cells = [re.sub(r"\\[\\|`<]", "", line).count("|") for line in lines if line.startswith("|")]
    assert len(cells) == len(HOSTILE) + 2
    assert len(set(cells)) == 1
    assert compare.main([str(tmp_path / "runs" / f"{i}") for i in (0, 2, 4)] + [f"page={tmp_path / 'two.html'}"]) == 0
    assert report.main([str(tmp_path / "runs" / "6")]) == 0
    for page in (tmp_path / "board.html", tmp_path / "two.html", tmp_path / "runs" / "6" / "report.html"):
        assert not {"script", "red", "bold"} & set(Balanced(page.read_text()).seen)
    printed = capsys.readouterr().out
    assert not any(sign in printed for sign in ("\x1b", "\x07", "\u202e", "\r"))
    assert "[/bold]" in printed.replace("\n", "")


def test_half_a_letter_is_refused_by_the_name_of_its_file(tmp_path):
    folder = run_folder(tmp_path / "run", "x")
    text = (folder / "verdict.json").read_text()
    (folder / "verdict.json").write_text(text.replace('"as it ended"', '"\\ud800"'))
    with pytest.raises(Damaged, match=r"verdict\.json cannot be read"):
        read_verdict(folder)
    (folder / "verdict.json").write_text(text.replace('"as it ended"', '"\\ud83d\\ude00"'))  # a whole one
    assert read_verdict(folder)["reason"] == "😀"


def test_texts_of_a_csv_are_no_formulas_and_numbers_stay(tmp_path):
    rows = pd.DataFrame({"token": ["-1a", "=1", "ok"], "valid": True, "score": [-1.0, 0.5, 1e-9]})
    write_official(rows, ["score"], tmp_path / "a.csv")
    told = pd.read_csv(tmp_path / "a.csv")
    assert told["token"].tolist() == ["'-1a", "'=1", "ok", "average"]
    assert told["score"].tolist()[:3] == [-1.0, 0.5, 1e-9]


def test_tables_of_a_terminal_hold_paths_as_they_are(capsys):
    console(80).print(table([Finding("disk", "fail", "/data/[old]/:smile:", "[/x]")]))
    assert "/data/[old]/:smile:" in capsys.readouterr().out


def test_curves_of_any_name_are_drawn():
    assert b"frac" in draw(Panel("t", "", ""), {HOSTILE["mathematics"]: pd.Series([1.0, 2.0])})


@pytest.mark.parametrize("name", HOSTILE)
def test_wandb_gets_one_line_of_a_length_that_it_takes(name):
    for text in (label(HOSTILE[name] * 99), *labels([HOSTILE[name] * 99, "", "seed=0", "seed=0"])):
        assert 0 < len(text) <= 128
        assert text.isprintable()
    assert labels(["", "x" * 99, "seed=0", "seed=0"]) == ["unnamed", "x" * 64, "seed=0"]
