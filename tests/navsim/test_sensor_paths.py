"""Paths of sensor files that a log names stay below the folder of the sensors."""

from __future__ import annotations

import pickle

import pytest
from navsim_builders import make_log

from wotempo.errors import UserError
from wotempo.navsim import read_log
from wotempo.navsim.log_writer import write_log


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b.pcd", "~/x.pcd", "a\\..\\b", "a\0b"])
@pytest.mark.parametrize("key", ["lidar_path", "data_path"])
def test_a_sensor_path_does_not_lead_out_of_its_folder(tmp_path, path, key):
    log = make_log([0.0, 0.5])
    file = tmp_path / f"{log.name}.pkl"
    write_log(file, log.frames)
    raw = pickle.loads(file.read_bytes())
    holder = raw[1] if key == "lidar_path" else next(camera for camera in raw[1]["cams"].values() if camera)
    holder[key] = path
    file.write_bytes(pickle.dumps(raw))
    with pytest.raises(UserError, match=f"frame 1 .*{key} is .*leads out of the folder"):
        read_log(file, "trainval")
