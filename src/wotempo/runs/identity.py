"""The identity of a run beside its configuration: code, libraries, data, labels, anchors, the files it names.

It is kept in ``identity.json`` of the run's folder. Whoever goes on with the run, or takes its result, compares it with
the present one; what differs is listed by name. Sensor files are not part of it: they are too many to be read twice.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.config.schema import RunConfig
from wotempo.datasets import dataset_of
from wotempo.maps.locations import map_path
from wotempo.navsim import DataPaths, fingerprint, read_anchors, write_bytes
from wotempo.navsim.dataset import read_no_imitation
from wotempo.navsim.index.stored import StoredLog
from wotempo.navsim.scenes import locations_of
from wotempo.preparation.prepare import Prepared
from wotempo.records.evidence import code_files, described, described_by, hash_of, same_content
from wotempo.records.forms import IDENTITY
from wotempo.records.reading import read_json, readable
from wotempo.runs.listing import flat, shown
from wotempo.runs.provenance import git_state

FILE = "identity.json"
LIBRARIES = ("torch", "lightning", "numpy")
DECIDES = ("data", "labels", "anchors")
"""Parts without which a run is another one; of the others it is said that they changed."""
FILES = (
    *("init_from", "image_checkpoint"),
    *(f"data.{split}.{file}" for split in ("train", "val", "test") for file in ("scene_filter", "logs")),
)

Identity = dict[str, dict[str, Any]]
"""Part -> name -> a text, or of a file what ``described`` says of it."""


def identity_of(config: RunConfig, prepared: Prepared, before: Mapping[str, Mapping[str, Any]]) -> Identity:
    """That of a run that begins now. Files that are as ``before`` described them are not read again."""
    files: dict[str, dict[str, Path]] = {
        "data": dict(_maps(prepared)),
        "labels": {file.name: file for file in _files_in(prepared.labels)},
        "files": named_files(config),
    }
    found: Identity = {part: _described(named, before.get(part, {})) for part, named in files.items()}
    found["data"] |= _logs(prepared)
    for split, scenes in prepared.scenes.items():
        found["data"][f"scenes of {split}"] = hash_of([scene.token for scene in scenes])
    if (listed := read_no_imitation(prepared.paths.root)) is not None:  # what the losses leave out
        found["data"]["scenes not to be imitated"] = hash_of(sorted(listed.tokens))
    found["commit"] = {"git": str(git_state().get("commit", ""))}
    found["criteria"] = criteria_of(config)
    return found | _anchors(prepared.anchors) | code_and_libraries()


def criteria_of(config: RunConfig) -> dict[str, str]:
    """Key -> value of the success criteria, as texts."""
    return {key: shown(value) for key, value in flat(config.acceptance, "acceptance.").items()}


def named_files(config: RunConfig) -> dict[str, Path]:
    """Key of the configuration -> the file that it names; not those that are part of data, labels and anchors."""
    named = {key: attrgetter(key)(config) for key in FILES}
    return {key: Path(path) for key, path in named.items() if path is not None and Path(path).is_file()}


def _anchors(anchors: np.ndarray | None) -> Identity:
    return {"anchors": {} if anchors is None else {"fingerprint": fingerprint(anchors)}}


def code_and_libraries() -> Identity:
    """The parts that are known before any data is read."""
    code = {f"{package}/{file}": value for package, files in code_files().items() for file, value in files.items()}
    return {"code": code, "libraries": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES}}


def _logs(prepared: Prepared) -> dict[str, dict[str, Any]]:
    """The logs, named from the root on: where the dataset lies does not matter. The index knows their contents."""
    logs = {id(scene.log): scene.log for members in prepared.scenes.values() for scene in members}
    found = {}
    for log in logs.values():
        file = prepared.paths.log_dir(log.split) / f"{log.name}.pkl"
        if isinstance(log, StoredLog) and log.content:
            about = described_by(file.name, bytes.fromhex(log.content), *log.stamp)
        else:
            about = described(file)
        found[f"navsim_logs/{log.split}/{file.name}"] = about
    return dict(sorted(found.items()))


def _maps(prepared: Prepared) -> Iterator[tuple[str, Path]]:
    scenes = [scene for members in prepared.scenes.values() for scene in members]
    for location in sorted(locations_of(scenes)):
        yield f"maps/{location}", map_path(prepared.paths.maps, location)


def _files_in(folder: Path | None) -> list[Path]:
    return [] if folder is None else sorted(file for file in folder.iterdir() if file.is_file())


def _described(files: Mapping[str, Path], before: Mapping[str, Any]) -> dict[str, Any]:
    def one(name: str) -> dict[str, Any]:
        was = before.get(name)
        state = files[name].stat()
        if isinstance(was, dict) and (was["bytes"], was["time_ns"]) == (state.st_size, state.st_mtime_ns):
            return was
        return described(files[name])

    with ThreadPoolExecutor(8) as readers:  # reading and hashing release the lock of the interpreter
        return dict(zip(files, readers.map(one, files), strict=True))


def read_identity(run: Path) -> Identity:
    """What the latest attempt in a run's folder wrote; empty where there is none, as of runs from before. Damaged where
    it cannot be read."""
    return readable(run / FILE, partial(read_json, form=IDENTITY), {})


def write_identity(run: Path, identity: Identity) -> None:
    write_bytes(run / FILE, json.dumps(identity, indent=1).encode())


def different(theirs: Identity, ours: Identity) -> dict[str, list[str]]:
    """Part -> the names in it that differ, were added, or are gone. A part that one of them lacks is not compared."""
    return {
        part: names
        for part in theirs.keys() & ours.keys()
        if (
            names := sorted(n for n in {*theirs[part], *ours[part]} if _value(theirs, part, n) != _value(ours, part, n))
        )
    }


def _value(identity: Identity, part: str, name: str) -> Any:
    value = identity[part].get(name)
    return value["hash"] if isinstance(value, dict) else value


def changes_since(run: Path, config: RunConfig) -> dict[str, list[str]]:
    """Of a run that ended, without reading its logs: part -> what differs between what it was trained on and what is
    here now. Of files of another time the content is compared; what is gone is not missed."""
    theirs, dataset = read_identity(run), dataset_of(config.data, config.workspace)
    paths = dataset.here() if theirs else None
    places = {
        "data": {name: place for name in theirs.get("data", {}) if (place := _place(name, paths)) is not None},
        "labels": {n: Path(config.data.labels) / n for n in theirs.get("labels", {}) if config.data.labels is not None},
        "files": named_files(config),
    }
    found = {
        part: names
        for part, files in places.items()
        if (names := [n for n, was in theirs.get(part, {}).items() if n in files and _changed(files[n], was)])
    }
    if config.data.anchors is not None and theirs.get("anchors"):
        found |= different({"anchors": theirs["anchors"]}, _anchors(read_anchors(Path(config.data.anchors))))
    return found


def _place(name: str, paths: DataPaths | None) -> Path | None:
    kind, _, rest = name.partition("/")
    if paths is None or not rest:
        return None
    return map_path(paths.maps, rest) if kind == "maps" else paths.root / name


def _changed(file: Path, was: Mapping[str, Any]) -> bool:
    return file.is_file() and not same_content(file, was)
