"""Peak memory under a ceiling: leaks, spikes, out-of-memory errors, and the process tree on a CPU."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest
import torch
from toy_run import ToyModule, failing, judge, ten_guards

from callbacks import MemoryGuard
from callbacks.criteria.memory import tree_bytes


@pytest.fixture
def settled():
    """Nothing that an earlier test left is given back while bytes are compared."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leak(gigabytes: float):
    """A statistics function that grows with every sample."""
    used = {"gb": 1.0}

    def read(device: torch.device) -> float:
        used["gb"] += gigabytes
        return used["gb"] * 1e9

    return read


def test_leak_over_the_ceiling_ends_the_run(tmp_path):
    guard = MemoryGuard(ceiling_gb=40.0, every=8, read_bytes=leak(12.0))
    report, raised = judge(tmp_path, guards=ten_guards(memory=guard))
    assert failing(report) == ["memory"]
    assert (report.status, report.exit_code) == ("rejected", 11)
    assert raised.measured == pytest.approx(49.0)
    assert "49.00 GB is over the ceiling of 40 GB" in str(raised)


def test_growth_below_the_ceiling_passes_and_reports_the_peak(tmp_path):
    guard = MemoryGuard(ceiling_gb=40.0, every=16, read_bytes=leak(5.0))
    report, raised = judge(tmp_path, guards=ten_guards(memory=guard))
    assert raised is None
    assert report.exit_code == 0
    assert guard.measured == pytest.approx(26.0)  # batches 0, 16, 32, validation, end


def test_a_spike_counts_although_the_end_is_low(tmp_path):
    uses = iter([1e9, 45e9])
    guard = MemoryGuard(every=16, policy="warn", read_bytes=lambda device: next(uses, 1e9))
    report, raised = judge(tmp_path, guards=ten_guards(memory=guard))
    assert raised is None
    assert guard.status == "fail"
    assert guard.measured == pytest.approx(45.0)
    assert report.exit_code == 0  # only a warning


def test_out_of_memory_error_is_this_criterion(tmp_path):
    class Greedy(ToyModule):
        def training_step(self, batch, batch_idx):
            if batch_idx == 5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return super().training_step(batch, batch_idx)

    report, raised = judge(tmp_path, Greedy())
    assert isinstance(raised, torch.OutOfMemoryError)
    assert failing(report) == ["memory"]
    assert (report.status, report.exit_code) == ("rejected", 11)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_count(settled):
    before = tree_bytes(os.getpid())
    program = "block = bytearray(b'x') * 80_000_000; print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        during = tree_bytes(os.getpid())
        child.communicate(b"\n")
    assert 80e6 < during - before < 160e6


def test_real_use_is_plausible(settled):
    block = torch.ones(25_000_000)  # 100 MB
    used = tree_bytes(os.getpid())
    assert used > 100e6 + 50e6
    assert used < 100e9
    del block


# In a process of its own: the children of this one (servers of forks, workers of joblib) come and go between two looks.
LOOKS = """
import subprocess, sys
import pytest, torch
from callbacks.criteria import memory

exact, plain = [], memory.used_bytes
memory.used_bytes = lambda device: exact.append(1) or plain(device)
host, read = torch.device("cpu"), memory.UsedBytes()
before = read(host)
small = torch.ones(int(memory.CHANGED * before / 4 / 3))
assert read(host) - before == pytest.approx(small.nbytes, rel=0.3)
large = torch.ones(int(3 * memory.CHANGED * before / 4))
assert read(host) - before == pytest.approx(small.nbytes + large.nbytes, rel=0.3)
assert len(exact) == 1  # what it shares with others is what it was
other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
assert read(host) >= before + small.nbytes + large.nbytes
assert len(exact) == 2
del small
read(host)
assert len(exact) == 2  # by less than a tenth
more = torch.ones(int(3 * memory.CHANGED * before / 4))
read(host)
assert len(exact) == 3
other.communicate(b"\\n")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_between_two_exact_looks_growth_is_seen():
    subprocess.run([sys.executable, "-c", LOOKS], check=True)
