"""Every test here runs with the stand-in, and with a real Slurm where its programs are installed (slurm-wlm)."""

from __future__ import annotations

import pytest
from clusters import RealSlurm, StandIn, programs_of_slurm


@pytest.fixture(scope="session")
def real_slurm(tmp_path_factory):
    if (path := programs_of_slurm()) is None:
        pytest.skip("NO REAL SLURM: slurmctld and slurmd are not installed, only the stand-in was tested")
    cluster = RealSlurm(tmp_path_factory.mktemp("slurm"), path)
    yield cluster
    cluster.stop()


@pytest.fixture
def stand_in(tmp_path):
    (tmp_path / "stand_in").mkdir()
    cluster = StandIn(tmp_path / "stand_in")
    yield cluster
    cluster.stop()


@pytest.fixture(params=["stand_in", pytest.param("real_slurm", marks=pytest.mark.slurm)])
def cluster(request):
    return request.getfixturevalue(request.param)
