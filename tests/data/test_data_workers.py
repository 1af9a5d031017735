"""Loader workers that cannot hand over their batches: one sentence within seconds, and never a run that waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wotempo.data import shared_memory, workers
from wotempo.data.shared_memory import batch_bytes, require_room
from wotempo.errors import UserError
from wotempo.system_errors import limit_reached

OWN_MOUNT = ["unshare", "-m", "sh", "-c"]
FULL = "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"


def can_mount() -> bool:
    try:
        done = subprocess.run(
            [*OWN_MOUNT, "mount -t tmpfs -o size=4k tmpfs /dev/shm"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


def test_a_full_shared_memory_is_named_at_once():
    """The case full_shm_hangs of the field, without a run around it."""
    if not can_mount():
        pytest.skip("this process may not make a mount namespace (unshare -m)")
    script = Path(__file__).with_name("full_shm.py")
    line = f"mount -t tmpfs -o size=256k tmpfs /dev/shm && exec {sys.executable} {script}"
    done = subprocess.run([*OWN_MOUNT, line], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == UserError.exit_code, done.stderr
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert "the shared memory is used up by 1 loader workers, /dev/shm has" in told
    assert "--shm-size" in told
    assert "Traceback" not in done.stderr


def fails(text: str):
    def share(self):
        raise RuntimeError(text)

    return share


@pytest.mark.parametrize(
    ("text", "says"),
    [(FULL, "shared memory is used up"), ("unable to open </torch_1>: Too many open files (24)", "ulimit -n")],
)
def test_what_stops_a_worker_reaches_the_run(make_module, monkeypatch, text, says):
    monkeypatch.setattr(torch.Tensor, "share_memory_", fails(text))
    data = make_module(num_workers=1)
    data.build_caches()
    with pytest.raises(UserError, match=says) as told:
        next(iter(data.train_dataloader()))
    assert "\n" not in str(told.value)
    assert limit_reached(told.value) == str(told.value), "the run can go on when it is started again"


def test_a_batch_that_cannot_be_sent_ends_its_worker(make_module, monkeypatch):
    """torch alone prints the error, drops the batch and waits."""
    monkeypatch.setattr(workers.SharedBatches, "__call__", lambda *_: {"lock": lambda: None})
    monkeypatch.setattr("wotempo.data.loader.LOOK_S", 1.0)
    data = make_module(num_workers=1)
    data.build_caches()
    with pytest.raises(UserError, match="a loader worker was killed"):
        next(iter(data.train_dataloader()))


def test_a_users_error_of_a_worker_is_its_own_sentence(make_module, monkeypatch):
    def damaged(*_):
        raise UserError("record 3 is damaged: delete it")

    monkeypatch.setattr(workers.SharedBatches, "__call__", damaged)
    data = make_module(num_workers=1)
    data.build_caches()
    with pytest.raises(UserError) as told:
        next(iter(data.train_dataloader()))
    assert str(told.value) == "record 3 is damaged: delete it"


def test_a_loader_with_workers_waits_so_long_only(make_module):
    data = make_module(num_workers=1)
    data.build_caches()
    assert 0 < data.train_dataloader().timeout == workers.LOOK_S < workers.WAIT_S

    class Late:
        def __init__(self, looks):
            self.left = looks

        def __next__(self):
            self.left -= 1
            if self.left >= 0:
                raise RuntimeError("DataLoader timed out after 60 seconds")
            return "batch"

    assert next(workers.watched(Late(9), 3)) == "batch"
    with pytest.raises(UserError, match=r"no batch came from 3 loader workers for 600 s \(/dev/shm has"):
        next(workers.watched(Late(10), 3))

    def fault():
        raise KeyError("bev")
        yield

    with pytest.raises(KeyError):
        list(workers.watched(fault(), 3))


def test_the_size_of_a_batch_is_known_beforehand(make_module):
    data = make_module(num_workers=0)
    data.build_caches()
    batch = next(iter(data.train_dataloader()))
    real = sum(value.nbytes for value in batch.values() if isinstance(value, torch.Tensor))
    assert 0.6 * real < data._batch_bytes("train") < 1.5 * real
    arguments = (data.frames.spec, data.targets.spec, data.needs)
    assert batch_bytes(*arguments, 10) == 2 * batch_bytes(*arguments, 5)
    assert batch_bytes(*arguments, 5, images=False) < batch_bytes(*arguments, 5)


def test_too_little_shared_memory_is_refused_at_the_start(make_module, monkeypatch):
    monkeypatch.setattr(shared_memory, "free_and_total", lambda *_: (64e6, 64e6))
    require_room(3_000_000, 8)
    with pytest.raises(UserError, match=r"8 loader workers hold up to 80\.0 MB .* 64\.0 of 64\.0 MB free: enlarge it"):
        require_room(5_000_000, 8)
    monkeypatch.setattr(shared_memory, "free_and_total", lambda *_: (0.0, 64e6))
    data = make_module(num_workers=1)
    data.build_caches()
    with pytest.raises(UserError, match="the shared memory is too small"):
        data.train_dataloader()
    assert np.isfinite(shared_memory.free_and_total()[1])


def test_caches_are_not_made_anew_where_too_many_files_are_open(make_module, monkeypatch):
    data = make_module()
    data.build_caches()

    def refused(*_, **__):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("wotempo.data.store.parse_json", refused)
        with pytest.raises(UserError, match="too many files are open"):
            data.build_caches()
    data.setup("fit")
    monkeypatch.setattr("wotempo.data.reader.map_array", refused)
    with pytest.raises(UserError, match=r"too many files are open.*ulimit -n"):
        next(iter(data.train_dataloader()))
