import csv
import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from m3l.errors import DataError
from m3l.files import (
    atomic,
    read_array,
    read_csv,
    read_json,
    read_sparse,
    write_array,
    write_csv,
    write_json,
)


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def fail_midway(monkeypatch, owner, name, error=full_disk, after=0):
    """``owner.name`` works ``after`` times and then fails."""
    real, calls = getattr(owner, name), []

    def failing(*args, **kwargs):
        calls.append(1)
        return error() if len(calls) > after else real(*args, **kwargs)

    monkeypatch.setattr(owner, name, failing)


def interrupt(*_):
    raise KeyboardInterrupt


def write_folder(path, numbers):
    """A folder of several files, as a run record is."""
    with atomic(path, directory=True) as temporary:
        np.save(temporary / "a.npy", np.array(numbers))
        np.save(temporary / "b.npy", np.array(numbers))
        sp.save_npz(temporary / "c.npz", sp.csr_matrix(np.array([numbers])))
        write_json(temporary / "d.json", numbers)


def read_folder(path):
    return [
        *(read_array(path / name).tolist() for name in ("a.npy", "b.npy")),
        read_sparse(path / "c.npz").toarray()[0].tolist(),
        read_json(path / "d.json"),
    ]


@pytest.mark.parametrize(
    ("owner", "name", "after", "error", "raised"),
    [
        (np, "save", 0, full_disk, OSError),
        (np, "save", 1, full_disk, OSError),
        (np, "save", 1, interrupt, KeyboardInterrupt),
        (sp, "save_npz", 0, full_disk, OSError),
        (Path, "write_text", 0, full_disk, OSError),
        (os, "replace", 0, full_disk, OSError),
        (os, "replace", 1, full_disk, OSError),  # the old folder would be set aside
        (os, "replace", 2, full_disk, OSError),  # set aside, and the new one not yet in its place
    ],
)
def test_a_failed_write_leaves_the_old_folder_whole(
    tmp_path, monkeypatch, owner, name, after, error, raised
):
    write_folder(tmp_path / "c", [1, 2, 3])
    with monkeypatch.context() as patch:
        fail_midway(patch, owner, name, error, after)
        with pytest.raises(
            raised, match=None if raised is KeyboardInterrupt else re.escape(str(tmp_path / "c"))
        ):
            write_folder(tmp_path / "c", [4, 5])
    assert os.listdir(tmp_path) == ["c"]
    assert read_folder(tmp_path / "c") == [[1, 2, 3]] * 4


@pytest.mark.parametrize("folder", ["plain", "with spaces, straße café 图片"])
def test_a_folder_is_replaced_as_a_whole(tmp_path, folder):
    for numbers in ([1, 2, 3], [4, 5]):
        write_folder(tmp_path / folder, numbers)
        assert os.listdir(tmp_path) == [folder]
        assert read_folder(tmp_path / folder) == [numbers] * 4


WRITERS = {
    "json": (write_json, [1, 2], [3], read_json, Path, "write_text"),
    "npy": (
        write_array,
        np.arange(3),
        np.arange(4),
        lambda path: read_array(path).tolist(),
        np,
        "save",
    ),
    "csv": (write_csv, [{"a": 1.0}], [{"a": 2.0}], read_csv, csv.DictWriter, "writerows"),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("target", ["the write", "the rename"])
def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch, kind, target):
    write, old, new, read, owner, name = WRITERS[kind]
    path = tmp_path / f"x.{kind}"
    write(path, old)
    with monkeypatch.context() as patch:
        fail_midway(patch, *((owner, name) if target == "the write" else (os, "replace")))
        with pytest.raises(OSError, match=re.escape(str(path))) as failure:
            write(path, new)
    assert failure.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == [path.name]
    assert read(path) == (old.tolist() if kind == "npy" else old)


def test_a_failure_without_a_number_keeps_its_reason(tmp_path, monkeypatch):
    def short(*_, **__):  # what numpy raises on a full disk
        raise OSError("100000 requested and 2480 written")

    monkeypatch.setattr(np, "save", short)
    with pytest.raises(OSError, match="requested and 2480 written"):
        write_array(tmp_path / "x.npy", np.zeros(3))


def test_nan_is_not_written_as_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", [float("nan")])
    assert os.listdir(tmp_path) == []


def test_a_table_row_that_is_no_number_is_named(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,four\n")
    with pytest.raises(DataError, match=r"x\.csv: .*'four'"):
        read_csv(tmp_path / "x.csv")


def test_a_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"x\.npy"):
        read_array(tmp_path / "x.npy")


@pytest.mark.parametrize("file", ["a.npy", "c.npz", "d.json"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "other bytes", "gone"])
def test_a_broken_file_is_named(tmp_path, file, damage):
    write_folder(tmp_path, [1, 2, 3])
    path = tmp_path / file
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"truncated": data[: len(data) // 2], "empty": b"", "other bytes": b"\x93\xff" * 50}[
                damage
            ]
        )
    with pytest.raises(DataError, match=re.escape(str(path))):
        read_folder(tmp_path)


def test_folders_can_be_entered_and_files_read_by_others(tmp_path):
    for _ in range(2):  # new, then replaced
        write_folder(tmp_path / "c", [1])
        assert (tmp_path / "c").stat().st_mode & 0o777 == 0o755
        assert {p.stat().st_mode & 0o444 for p in (tmp_path / "c").iterdir()} == {0o444}
    write_json(tmp_path / "a.json", {})
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_a_row_of_a_table_may_lack_a_column(tmp_path):
    rows = [{"epoch": 1.0, "loss": 2.5}, {"epoch": 2.0, "loss": 2.0, "en>de": 0.25}]
    write_csv(tmp_path / "history.csv", rows)
    assert read_csv(tmp_path / "history.csv") == rows
