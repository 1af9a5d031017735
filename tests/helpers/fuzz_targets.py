"""Every reader of files that come from outside: a valid file for it, what damages that file, and the reader itself."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import yaml
from fuzz_bytes import member
from fuzz_runs import RUN_TARGETS, TOKENS
from fuzz_target import Target
from fuzz_values import (
    checkpoint_values,
    community_values,
    json_values,
    npy_bytes,
    npy_values,
    npz_values,
    pickle_values,
    safetensors_header,
    sqlite_cells,
    yaml_values,
)
from hydra import compose, initialize_config_module
from official_weights import MICRO, lightning_file, official_state
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file
from score_tables import write_score_table
from small_run import SMALL

from callbacks.criteria.checkpoint import inspect_checkpoint
from callbacks.forensics.recorder import FACTS, STEP, WEIGHTS
from wotempo.capacity.search_space import read_space
from wotempo.checkpoints.image_encoder import load_image_encoder
from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.checkpoints.rebuild import load_module, rebuild
from wotempo.commands.replay import read_record
from wotempo.config.schema import SplitConfig
from wotempo.config.stored import config_with_images
from wotempo.data.store import RecordStore, Ref
from wotempo.datasets.scenes import split_logs
from wotempo.interop import import_official
from wotempo.maps.index import MapIndex
from wotempo.maps.locations import map_path
from wotempo.navsim.anchors import fingerprint, read_anchors, write_anchors
from wotempo.navsim.dataset import read_splits
from wotempo.navsim.files import Stamp
from wotempo.navsim.images import read_image
from wotempo.navsim.index.digest import read_digest
from wotempo.navsim.index.logs import index_logs
from wotempo.navsim.legacy_pickle import LegacyPickler
from wotempo.navsim.logs import read_log
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import DataPaths
from wotempo.navsim.scores import ScoreTable
from wotempo.navsim.submission import Team, read_plans, write_plans, write_submission
from wotempo.navsim.twins import own_twins
from wotempo.pdm.agents import human_poses
from wotempo.pdm.evaluation import evaluate_scenes
from wotempo.pdm.labels.community_file import import_community_file
from wotempo.pdm.labels.label_parts import read_part
from wotempo.training.module import LitPlanner

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TOWN = GOLDEN / "navsim" / "maps" / "us-nv-las-vegas-strip" / "9.15.1915" / "map.gpkg"
LOG = next((GOLDEN / "navsim" / "navsim_logs" / "golden").glob("*.pkl"))
LOCATION = "us-nv-las-vegas-strip"
ANCHORS = np.cumsum(np.full((MICRO.num_anchors, 8, 3), (1.5, 0.1, 0.01), np.float32), 1)
RECORD = np.dtype([("x", "<f4", (4,)), ("n", "<i4")])


# ---- logs and maps


def _log(folder: Path) -> Path:
    return Path(shutil.copy(LOG, folder / LOG.name))


def _short_log(folder: Path) -> Path:
    """As many frames as one scene needs."""
    with LOG.open("rb") as file:
        frames = pickle.load(file)
    path = folder / LOG.name
    with path.open("wb") as file:
        LegacyPickler(file, 4).dump(frames[:15])
    return path


def _index(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        _indexed_log(_short_log(folder))
        return next((folder / "cache").rglob(name))

    return make


def _indexed_log(log: Path) -> object:
    (stored,) = index_logs([log], "golden", log.parent / "cache")
    return stored.columns.rows.tobytes(), [frame.sensor_files for frame in stored.frames], stored.frames[3].map_location


def _indexed(path: Path) -> object:
    return _indexed_log(path.parents[3] / LOG.name)


def _digest(path: Path) -> object:
    return read_digest(path, Stamp.of(path.parents[3] / LOG.name))


def _scored(path: Path) -> object:
    scenes = find_scenes([read_log(path, "golden")], SceneFilter())
    plans = {"human": {scene.token: human_poses(scene) for scene in scenes}}
    return evaluate_scenes(GOLDEN / "navsim" / "maps", scenes, plans)


def _map(folder: Path) -> Path:
    return Path(shutil.copy(TOWN, folder / "map.gpkg"))


def _whole_map(path: Path) -> object:
    town = MapIndex(path)
    town.load()
    lanes, blocks = town.layer("lanes_polygons").ids[:5], town.layer("lane_groups_polygons").ids[:5]
    found = [town.near(name, 0.0, 0.0, 100.0) for name in ("intersections", "carpark_areas", "lane_groups_polygons")]
    return found, [town.lane(lane) for lane in lanes], [town.roadblock(block) for block in blocks]


def _map_places(folder: Path) -> Path:
    return Path(shutil.copy(GOLDEN / "navsim" / "maps" / "nuplan-maps-v1.0.json", folder))


# ---- sensors


def _cloud(folder: Path) -> Path:
    return Path(shutil.copy(next((GOLDEN / "navsim" / "sensor_blobs").rglob("*.pcd")), folder / "cloud.pcd"))


def _picture(folder: Path, kind: str, name: str) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    Image.fromarray(pixels).save(folder / name, kind)
    return folder / name


def _huge_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(buffer, "JPEG")
    data = buffer.getvalue()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + b"\xfd\xe8\xfd\xe8" + data[at + 4 :]


# ---- anchors, labels, caches


def _anchors(folder: Path) -> Path:
    write_anchors(folder / "anchors.npy", ANCHORS)
    return folder / "anchors.npy"


def _table(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        scores = np.ones((len(TOKENS), 5, len(ANCHORS)))
        write_score_table(folder / "labels", TOKENS, scores, fingerprint(ANCHORS), "1")
        return folder / "labels" / name

    return make


def _opened(path: Path) -> object:
    table = ScoreTable.open(path.parent)
    table.require_anchors(ANCHORS)
    return [table.scores(token) for token in TOKENS]


PART_SCENES: Any = [SimpleNamespace(token=token, log=None) for token in TOKENS]


def _label_part(folder: Path) -> Path:
    flags, progress = np.zeros((3, len(ANCHORS)), np.uint8), np.zeros((3, len(ANCHORS)), np.float16)
    path = folder / f"{TOKENS[0]}-3.npz"
    np.savez(path, tokens=list(TOKENS), flags=flags, progress=progress, reasons=[""] * 3)
    return path


def _community(folder: Path) -> Path:
    names = ("no_at_fault_collisions", "drivable_area_compliance", "ego_progress", "time_to_collision_within_bound",
             "comfort", "driving_direction_compliance", "score")  # fmt: skip
    scores = {name: np.ones(len(ANCHORS)) for name in names}
    content = np.empty((), object)
    content[()] = {token: {"valid": True, "trajectory_scores": [dict(scores)]} for token in TOKENS}
    path = folder / "formatted_pdm_score_12.npy"
    path.write_bytes(npy_bytes(content))
    return path


def _imported(path: Path) -> object:
    return import_community_file(path, ANCHORS, path.parent / "imported")


def _plans(folder: Path) -> Path:
    write_plans(folder / "plans.npz", dict.fromkeys(TOKENS, ANCHORS[0]))
    return folder / "plans.npz"


def _submission(folder: Path) -> Path:
    team = Team(name="a", authors=["b"], email="c", institution="d", country="e")
    write_submission(folder / "submission.pkl", team, dict.fromkeys(TOKENS, ANCHORS[0]))
    return folder / "submission.pkl"


def _cache(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        store = RecordStore(folder / "cache", "frames", "0", RECORD)
        records = [np.zeros((), RECORD) for _ in TOKENS]
        store.commit("split/log", store.write_part("split/log", dict.fromkeys(TOKENS, "k"), records))
        return next((folder / "cache").rglob(name))

    return make


def _cached(path: Path) -> object:
    root = path.parents[3]
    reader = RecordStore(root, "frames", "0", RECORD).reader([Ref("split/log", token) for token in TOKENS])
    return [reader.read(i) for i in range(len(TOKENS))]


def _built_upon(path: Path) -> object:
    store = RecordStore(path.parents[3], "frames", "0", RECORD)
    return store.usable("split/log", dict.fromkeys(TOKENS, "k"))


# ---- checkpoints


def _planner() -> LitPlanner:
    return LitPlanner(MICRO.to_dict(), {"name": "none", "num_frames": 1}, anchors=ANCHORS)


@cache
def _model() -> Any:
    return _planner().model


def _checkpoint(folder: Path) -> Path:
    torch.manual_seed(0)
    module = _planner()
    content = {"epoch": 1, "global_step": 20, "pytorch-lightning_version": "2.6.4", "callbacks": {}, "loops": {},
               "state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams),
               "optimizer_states": [], "lr_schedulers": []}  # fmt: skip
    torch.save(content, folder / "last.ckpt")
    return folder / "last.ckpt"


def _continued(path: Path) -> object:
    return newest_checkpoint(path.parent)


def _inspected(path: Path) -> object:
    shapes = {key: tuple(value.shape) for key, value in _planner_state().items()}
    return inspect_checkpoint(str(path), shapes)


@cache
def _planner_state() -> dict[str, torch.Tensor]:
    return dict(_planner().state_dict())


def _official(folder: Path) -> Path:
    return lightning_file(folder / "official.ckpt", official_state(MICRO))


def _encoder(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        state = {k: v.contiguous() for k, v in _model().frame_encoder.image_encoder.state_dict().items()}
        save_file(state, folder / name) if name.endswith("safetensors") else torch.save(state, folder / name)
        return folder / name

    return make


def _evidence(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        torch.save({"micro_batches": [], "precision": "32-true", "training": {}, "scale": 1.0}, folder / STEP)
        torch.save(
            {"state_dict": dict(_planner_state()), "hyper_parameters": dict(_planner().hparams)}, folder / WEIGHTS
        )
        facts = {
            "criterion": "finite", "exception": "", "message": "x", "weights_are": "before", "step": 3, "epoch": 0,
            "micro_batch": 0, "tokens": ["a"], "terms": {"loss": 1.0},
            "culprit": dict.fromkeys(("stage", "module", "parameter", "sentence"), "x"),
        }  # fmt: skip
        (folder / FACTS).write_text(json.dumps(facts))
        return folder / name

    return make


def _replayed(path: Path) -> object:
    record = read_record(path.parent)
    return rebuild(path.parent / WEIGHTS, record.weights, finite=False)


# ---- configurations and lists


def _scene_filter(folder: Path) -> Path:
    path = folder / "filter.yaml"
    path.write_text(yaml.safe_dump({
        "_target_": "navsim.common.dataclasses.SceneFilter", "_convert_": "all", "num_history_frames": 4,
        "num_future_frames": 10, "frame_interval": 1, "has_route": True, "max_scenes": None,
        "log_names": ["2021.05.12.22.00.38_veh-35_01008_01518"], "tokens": ["fefd56bd9a9a5c8e", "0123456789012345"],
    }))  # fmt: skip
    return path


def _log_list(folder: Path) -> Path:
    (folder / "navsim_logs" / "trainval").mkdir(parents=True)
    shutil.copy(LOG, folder / "navsim_logs" / "trainval")
    (folder / "logs.yaml").write_text(yaml.safe_dump({"train_logs": [LOG.stem, "another"], "val_logs": ["x"]}))
    return folder / "logs.yaml"


def _listed(path: Path) -> object:
    chosen = SplitConfig(split="trainval", scene_filter=None, max_scenes=None, logs=str(path))
    dataset: Any = SimpleNamespace(data=SimpleNamespace(train=chosen), logs=lambda *_: None)
    return split_logs(dataset, DataPaths(path.parent, path.parent), "train")


def _splits(folder: Path) -> Path:
    splits = {name: {"split": "trainval", "logs": ["a", "b"]} for name in ("train", "val", "test")}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder / "splits.json"


def _twins(folder: Path) -> Path:
    pair = {"kind": "lead", "split": "val", "district": 3, "agents": [["a"], []]}
    pairs = [{**pair, "name": f"pair {n}", "tokens": [f"{2 * n:016x}", f"{2 * n + 1:016x}"]} for n in range(3)]
    (folder / "twins.json").write_text(json.dumps({"town": "0" * 12, "num_frames": 4, "pairs": pairs}))
    (folder / "city.json").write_text(json.dumps({"fingerprint": "0" * 12}))
    return folder / "twins.json"


def _space(folder: Path) -> Path:
    keys = {"optimiser.lr": {"low": 1e-5, "high": 1e-3, "log": True}, "seed": {"choices": [0, 1]},
            "trainer.batch_size": {"low": 1, "high": 8, "step": 1}}  # fmt: skip
    (folder / "space.yaml").write_text(yaml.safe_dump({"metric": "val/loss", "direction": "minimize", "space": keys}))
    return folder / "space.yaml"


def _configuration(folder: Path) -> Path:
    with initialize_config_module("wotempo.configs", version_base="1.3"):
        config = compose("train", [f"run_dir={folder}", "workspace=w", *SMALL])
        OmegaConf.save(config, folder / "config.yaml", resolve=True)
    return folder / "config.yaml"


TARGETS: tuple[Target, ...] = (
    Target("log", _log, lambda path: read_log(path, "golden"), (pickle_values, pickle_values)),
    Target("log, scored", _short_log, _scored, (pickle_values, pickle_values, pickle_values), pace=0.3),
    Target("index of logs, rows", _index("rows.npy"), _indexed, (npy_values,), pace=0.3),
    Target("index of logs, list", _index("logs.json"), _indexed, (json_values,), pace=0.3),
    Target("index of logs, digest", _index(f"{LOG.stem}.npz"), _digest, (npz_values, member(npy_values)), pace=0.5),
    Target("map", _map, _whole_map, (sqlite_cells, sqlite_cells), pace=0.3),
    Target("list of maps", _map_places, lambda path: map_path(path.parent, LOCATION), (json_values,), pace=0.5),
    Target("point cloud", _cloud, read_pcd),
    Target("JPEG", lambda folder: _picture(folder, "JPEG", "camera.jpg"), read_image, hostile=(_huge_jpeg,)),
    Target("PNG named as JPEG", lambda folder: _picture(folder, "PNG", "camera.jpg"), read_image, pace=0.3),
    Target("anchors", _anchors, read_anchors, (npy_values,)),
    Target("label table, index", _table("index.json"), _opened, (json_values,)),
    Target("label table, flags", _table("flags.npy"), _opened, (npy_values,), pace=0.5),
    Target("label table, progress", _table("progress.npy"), _opened, (npy_values,), pace=0.5),
    Target("label part", _label_part, lambda path: read_part(path.parent, PART_SCENES, len(ANCHORS), {}),
           (npz_values, member(), member(npy_values))),
    Target("community label file", _community, _imported, (community_values, community_values)),
    Target("plans", _plans, read_plans, (npz_values, member(npy_values))),
    Target("submission", _submission, read_plans),
    Target("cache, index", _cache("index.json"), _cached, (json_values,)),
    Target("cache, part", _cache("part-*.npy"), _cached, (npy_values,)),
    Target("cache built upon, index", _cache("index.json"), _built_upon, (json_values,), pace=0.5),
    Target("cache built upon, part", _cache("part-*.npy"), _built_upon, (npy_values,), pace=0.5),
    Target("checkpoint", _checkpoint, load_module, (checkpoint_values, checkpoint_values, member()), pace=0.5),
    Target("checkpoint to continue", _checkpoint, _continued, (checkpoint_values, member()), pace=0.5),
    Target("checkpoint that is judged", _checkpoint, _inspected, (checkpoint_values, member()), pace=0.5),
    Target("official WoTE checkpoint", _official, lambda path: import_official(path, MICRO),
           (checkpoint_values, member()), pace=0.5),
    Target("image encoder, .pth", _encoder("resnet.pth"), lambda path: load_image_encoder(_model(), path),
           (checkpoint_values, member()), pace=0.5),
    Target("image encoder, .safetensors", _encoder("resnet.safetensors"),
           lambda path: load_image_encoder(_model(), path), (safetensors_header,), pace=0.5),
    Target("recorded step", _evidence(STEP), _replayed, (checkpoint_values, member()), pace=0.3),
    Target("recorded weights", _evidence(WEIGHTS), _replayed, (checkpoint_values, member()), pace=0.3),
    Target("recorded facts", _evidence(FACTS), _replayed, (json_values,), pace=0.3),
    Target("scene filter", _scene_filter, SceneFilter.from_yaml, (yaml_values,)),
    Target("list of logs", _log_list, _listed, (yaml_values,)),
    Target("splits.json", _splits, lambda path: read_splits(path.parent), (json_values,)),
    Target("twins.json", _twins, lambda path: own_twins(path.parent), (json_values,)),
    Target("search space", _space, lambda path: read_space(str(path)), (yaml_values,)),
    Target("config.yaml of a run", _configuration, lambda path: config_with_images(path.parent), (yaml_values,) * 3,
           pace=0.3),
    *RUN_TARGETS,
)  # fmt: skip
