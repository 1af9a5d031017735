"""Every check of the doctor is seen to pass on what is sound, and to fail, with a fix, on what is broken."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from wotempo.datasets.navsim import Navsim
from wotempo.datasets.town import Town
from wotempo.doctor.device import Gpu, check_gpu, runs_on
from wotempo.doctor.finding import Finding, examined, table
from wotempo.doctor.machine import check_cpus, check_memory, check_open_files, check_shared_memory, memory_limit_gb
from wotempo.doctor.numerics import OPERATIONS, check_arithmetic, check_warp
from wotempo.doctor.sensors import SensorCount, check_sensors, count_sensors
from wotempo.doctor.software import check_packages, check_python, declared
from wotempo.doctor.storage import check_disk
from wotempo.errors import UserError
from wotempo.geometry.warp import affine_theta, warp_bev
from wotempo.navsim import DataPaths

CPU = torch.device("cpu")
A100 = Gpu("A100", (8, 0), 80.0)
V100 = Gpu("V100", (7, 0), 16.0)
WANTS_GPU = {"accelerator": "gpu", "devices": 1, "precision": "16-mixed"}
BUILT = ("sm_70", "sm_80", "compute_90")


def test_this_environment_is_within_the_declared_ranges():
    python, requirements = declared()
    assert check_python(python).status == "ok"
    found = check_packages(requirements)
    assert found.status == "ok", found.found
    assert "torchmetrics" in found.found


def test_versions_outside_their_range_fail():
    assert check_python(">=3.11,<3.13", "3.9.2").status == "fail"
    assert "not installed" in check_python("", "3.11.1").found

    def version_of(name):
        if name == "wandb":
            raise PackageNotFoundError(name)
        return "2.6.3"

    found = check_packages(["lightning>=2.6.4,<2.7", "wandb>=0.20", "hydra-core>=1.3"], version_of)
    assert found.status == "fail"
    assert found.found == "lightning 2.6.3 is not <2.7,>=2.6.4; wandb is not installed, wanted >=0.20"
    assert "make setup" in found.fix


@pytest.mark.parametrize(
    ("gpus", "driver", "change", "status", "fix"),
    [
        ([A100], "550.1", {}, "ok", ""),
        ([], None, {"accelerator": "cpu"}, "ok", ""),
        ([], None, {}, "fail", "trainer=cpu"),
        ([], "450.1", {}, "fail", "update the driver"),
        ([A100], "550.1", {"devices": 2}, "fail", "trainer.devices=1"),
        ([replace(A100, capability=(6, 1))], "550.1", {}, "fail", "torch build"),
        ([V100], "550.1", {"precision": "bf16-mixed"}, "warn", "trainer.precision=16-mixed"),
        ([V100], "550.1", {}, "warn", "acceptance.memory.ceiling_gb=15"),
    ],
)
def test_gpu(gpus, driver, change, status, fix):
    found = check_gpu(gpus, driver, BUILT, SimpleNamespace(**WANTS_GPU | change), ceiling_gb=40.0)
    assert found.status == status
    assert fix in found.fix
    assert bool(found.fix) == (status != "ok")


@pytest.mark.parametrize(("capability", "runs"), [((7, 5), True), ((8, 9), True), ((9, 0), True), ((6, 1), False)])
def test_a_build_runs_on_its_generation_and_what_intermediate_code_reaches(capability, runs):
    assert runs_on(capability, ("sm_70", "sm_80", "compute_90")) is runs


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_this_machine_computes_what_it_should(precision):
    assert check_arithmetic(CPU, precision).status == "ok"
    assert check_warp(CPU, precision).status == "ok"


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("fault", [lambda y: y * 1.01, lambda y: y.index_fill(0, torch.tensor([0]), float("nan"))])
def test_an_operation_that_answers_wrongly_is_named(name, fault):
    operation, shapes = OPERATIONS[name]
    found = check_arithmetic(CPU, "32-true", {**OPERATIONS, name: (lambda *x: fault(operation(*x)), shapes)})
    assert found.status == "fail"
    assert name in found.found


def test_a_warp_with_other_corners_or_the_inverse_motion_is_found():
    def other_corners(feature, pose, grid):
        sampling = F.affine_grid(affine_theta(pose, grid), [len(pose), 1, *grid.shape], align_corners=True)
        return F.grid_sample(feature, sampling, align_corners=True)

    def inverse(feature, pose, grid):
        return warp_bev(feature, -pose, grid)

    for wrong in (other_corners, inverse):
        assert check_warp(CPU, "32-true", wrong).status == "fail"


COUNT = SensorCount(10, (0, 0, 0, 0), (3, 2, 1, 0), 10, 0, "")


@pytest.mark.parametrize(
    ("change", "missing", "status", "fix"),
    [
        ({}, "error", "ok", ""),
        ({"missing": (4, 0, 0, 0), "whole": 6, "first": "a.jpg"}, "error", "fail", "data.missing=mask"),
        ({"missing": (4, 0, 0, 0), "whole": 6, "first": "a.jpg"}, "mask", "warn", "masked"),
        ({"missing": (0, 0, 0, 1), "whole": 9, "empty": 1, "first": "a.jpg"}, "error", "fail", "fetched again"),
        ({"missing": (0, 0, 0, 1), "whole": 9, "empty": 1, "first": "a.jpg"}, "mask", "warn", "left out"),
        ({"missing": (4, 0, 0, 1), "whole": 5, "first": "a.jpg"}, "drop", "warn", "left out"),
        ({"missing": (0, 0, 0, 10), "whole": 0, "first": "a.jpg"}, "drop", "fail", "fetched again"),
        ({"missing": (0, 0, 0, 10), "whole": 0, "first": "a.jpg"}, "mask", "fail", "fetched again"),
    ],
)
def test_sensor_counts(change, missing, status, fix):
    found = check_sensors("train", replace(COUNT, **change), missing)
    assert found.status == status
    assert fix in found.fix
    assert "before the log begins -3: 3, -2: 2, -1: 1, 0: 0" in found.found


def test_archives_are_named_with_the_tokens_that_each_would_bring(tmp_path):
    """Of four tokens with windows of four frames; the first one reaches beyond what archives have."""
    paths = DataPaths(tmp_path, tmp_path / "maps")
    names = "abcdefgh"
    frames = {name: SimpleNamespace(token=name, log_name="l", sensor_files=(f"{name}.jpg",) * 4) for name in names}
    for name in "efgh":
        (paths.blob_dir("test")).mkdir(parents=True, exist_ok=True)
        (paths.blob_dir("test") / f"{name}.jpg").write_bytes(b"x")
    windows = [[frames[n] for n in window] for window in ("abce", "defg", "dcfg", "efgd", "efgh")]
    count = count_sensors(paths, "test", windows, 4, 5, current={"e", "g", "d", "h"}, reach=3)
    found = {frozenset({None, "history"}): 1, frozenset({"current"}): 2, frozenset({"current", "history"}): 1}
    assert (count.whole, dict(count.lacking)) == (1, found)
    told = check_sensors("train", count, supply=Navsim.supply).found
    now, past = (
        "navtrain_current_1 … 4 would bring 2 tokens",
        "navtrain_history_1 … 4 would bring 1 tokens more, together",
    )
    assert f"download_navtrain.sh: {now}; download_navtrain.sh: navtrain_current_1 … 4 and " in told
    assert f"{past}; 1 tokens need files that no archive has" in told
    everything = Navsim.supply.brings("test", {frozenset({"current"}): 3, frozenset({"current", "history"}): 4})
    assert everything == "download_test.sh: sensors would bring 7 tokens"
    assert Town.supply.brings("train", {frozenset({"maps"}): 2}).endswith("generates it would bring 2 tokens")


Statvfs = namedtuple("Statvfs", "f_bavail f_frsize f_files f_favail")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (Statvfs(10**7, 4096, 10**6, 10**6), "ok"),
        (Statvfs(10**7, 4096, 0, 0), "ok"),
        (Statvfs(10**5, 4096, 10**6, 10**6), "fail"),
        (Statvfs(10**7, 4096, 10**6, 5), "fail"),
        (Statvfs(5 * 10**5, 4096, 10**6, 10**6), "warn"),
    ],
)
def test_room_and_inodes(tmp_path, state, status):
    assert check_disk("disk", tmp_path / "not" / "yet", 1e9, 100, lambda _: state).status == status
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_fails(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr("wotempo.doctor.storage.tempfile.TemporaryFile", refuse)
    found = check_disk("disk", tmp_path, 0, 0)
    assert found.status == "fail"
    assert "Disk quota exceeded" in found.found


@pytest.mark.parametrize(
    ("asked", "fix"),
    [
        ((0, 2, 2), ""),
        ((8, 2, 2), "trainer.num_workers=1"),
        ((0, 8, 2), "data.prepare_workers=2"),
        ((0, 2, 64), "trainer.threads=2"),
    ],
)
def test_more_processes_than_cpus(asked, fix):
    found = check_cpus(2, *asked)
    assert found.status == ("warn" if fix else "ok")
    assert fix in found.fix


def test_memory_below_the_ceiling_or_the_workers():
    assert check_memory(64.0, 8, "cpu", 40.0).status == "ok"
    assert check_memory(30.0, 8, "gpu", 40.0).status == "ok"
    assert check_memory(30.0, 8, "cpu", 40.0).fix == "acceptance.memory.ceiling_gb=27"
    assert check_memory(6.0, 8, "cpu", 40.0).status == "fail"


def test_shared_memory_and_open_files(monkeypatch):
    assert check_shared_memory(10**12, 0).status == "ok"
    monkeypatch.setattr("wotempo.data.shared_memory.free_and_total", lambda *_: (64e6, 64e6))
    assert check_shared_memory(1_000_000, 8).status == "ok"
    found = check_shared_memory(54_000_000, 8)
    assert found.status == "fail"
    assert "8 loader workers hold up to 864.0 MB" in found.found
    assert "/dev/shm has 64.0 of 64.0 MB free" in found.found
    assert "--shm-size" in found.fix
    assert "trainer.num_workers=0" in found.fix
    assert check_open_files(1024, 8).status == "ok"
    assert check_open_files(256, 8).fix == "ulimit -n 65536"


def test_the_tightest_control_group_counts(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert np.isinf(memory_limit_gb(tmp_path))
    write("proc/meminfo", "MemTotal:       64000000 kB\n")
    assert memory_limit_gb(tmp_path) == pytest.approx(65.536)
    write("proc/self/cgroup", "0::/slurm/job_7\n")
    write("sys/fs/cgroup/slurm/memory.max", "max\n")
    write("sys/fs/cgroup/slurm/job_7/memory.max", "8000000000\n")
    assert memory_limit_gb(tmp_path) == 8.0
    write("proc/self/cgroup", "5:memory:/slurm/job_8\n0::/\n")
    write("sys/fs/cgroup/memory/slurm/job_8/memory.limit_in_bytes", "6000000000\n")
    assert memory_limit_gb(tmp_path) == 6.0


def test_what_cannot_be_read_is_a_failure_and_the_table_shows_all():
    def broken():
        raise UserError("map.gpkg: truncated; fetch it again")

    found = examined("maps", broken)
    assert (found.status, found.found) == ("fail", "map.gpkg: truncated; fetch it again")
    assert table([found, Finding("disk", "ok", "fine")]).row_count == 2
