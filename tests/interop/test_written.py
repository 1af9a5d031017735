"""Files are written whole or not at all, and nobody's file is lost."""

from __future__ import annotations

import pytest
from official_weights import SMALL, lightning_file, official_state

from wotempo.errors import UserError
from wotempo.interop import import_official, write_checkpoint


@pytest.fixture
def found(tmp_path):
    return import_official(lightning_file(tmp_path / "official.ckpt", official_state()), SMALL)


def test_the_anchors_lie_beside_the_checkpoint_and_nothing_else(tmp_path, found):
    written = write_checkpoint(found, tmp_path / "new" / "epoch=29.wote.ckpt")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "epoch=29.wote.anchors.npy",
        "epoch=29.wote.ckpt",
    ]
    assert written.anchors.is_file()
    assert written.checkpoint.is_file()


@pytest.mark.parametrize("name", ["ours.ckpt", "ours.anchors.npy"])
def test_an_existing_file_stays_unless_told_otherwise(tmp_path, found, name):
    (tmp_path / name).write_bytes(b"kept")
    with pytest.raises(UserError, match=rf"{name} is there already.*overwrite=true"):
        write_checkpoint(found, tmp_path / "ours.ckpt")
    assert (tmp_path / name).read_bytes() == b"kept"
    write_checkpoint(found, tmp_path / "ours.ckpt", overwrite=True)
    assert (tmp_path / name).read_bytes() != b"kept"


def test_the_source_is_never_the_output(tmp_path, found):
    before = found.source.read_bytes()
    with pytest.raises(UserError, match="is the checkpoint that is read"):
        write_checkpoint(found, tmp_path / "." / "official.ckpt", overwrite=True)
    (tmp_path / "link.ckpt").symlink_to(found.source)
    with pytest.raises(UserError, match="is the checkpoint that is read"):
        write_checkpoint(found, tmp_path / "link.ckpt", overwrite=True)
    assert found.source.read_bytes() == before


def test_a_folder_is_no_output(tmp_path, found):
    with pytest.raises(UserError, match="is a folder"):
        write_checkpoint(found, tmp_path, overwrite=True)


def test_where_nothing_can_be_written_nothing_is_left(tmp_path, found, monkeypatch):
    with pytest.raises(UserError, match=r"official\.ckpt is a file"):
        write_checkpoint(found, found.source / "deeper" / "ours.ckpt")

    def full(array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wotempo.interop.written.array_bytes", full)
    with pytest.raises(UserError, match=r"No space left on device"):
        write_checkpoint(found, tmp_path / "ours.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["official.ckpt"]
