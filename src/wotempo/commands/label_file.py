"""Bring WoTE's label file in as a score table, or a score table out as that file.

wotempo label-file direction=import file=formatted_pdm_score_256.npy anchors=<.npy> labels=<folder, is written>
wotempo label-file direction=export labels=<folder> file=<.npy, is written>
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.checks import check_direction
from wotempo.config.schema import typed
from wotempo.errors import UserError
from wotempo.navsim import ScoreTable, read_anchors
from wotempo.pdm.labels.community_file import export_community_file, import_community_file


@dataclass
class LabelFileConfig:
    direction: str | None
    file: str | None  # formatted_pdm_score_<N>.npy
    labels: str | None  # score-table folder
    anchors: str | None  # that the file was made with; import only
    overwrite: bool
    run_dir: str


def check(raw: DictConfig) -> LabelFileConfig:
    config = typed(raw, LabelFileConfig)
    check_direction(config, "file", "labels", example="file=<.npy> labels=<folder>")
    if config.direction == "import" and config.anchors is None:
        raise UserError("anchors is missing: the file does not say which anchors it was made with (docs/labels.md)")
    if config.direction == "export" and config.anchors is not None:
        raise UserError("anchors is for direction=import only: a score table knows its anchors")
    source, target = (config.file, config.labels) if config.direction == "import" else (config.labels, config.file)
    if not Path(source).exists():
        raise UserError(f"there is no {source}")
    if Path(target).exists() and not config.overwrite:
        raise UserError(f"{target} exists: name another, or set overwrite=true")
    return config


def work(raw: DictConfig) -> int:
    config = check(raw)
    file, folder = Path(str(config.file)), Path(str(config.labels))
    if config.direction == "export":
        table = ScoreTable.open(folder)
        export_community_file(table, file)
        print(f"exported {len(table)} scenes of anchors {table.anchors_fingerprint}, {len(table.invalid)} invalid")
        print(f"  {file}\nwithout driving_direction_compliance, which WoTE's loader does not read")
        return 0
    if folder.exists():
        ScoreTable.open(folder)  # overwriting replaces labels, nothing else
    table = import_community_file(file, read_anchors(Path(str(config.anchors))), folder)
    print(f"imported {len(table)} scenes, {len(table.invalid)} invalid, of anchors {table.anchors_fingerprint}")
    print(f"train with them: data.labels={folder} data.anchors={config.anchors}")
    return 0


if __name__ == "__main__":
    run("label_file", LabelFileConfig, check, work)
