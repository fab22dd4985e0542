"""A commit is whole or nothing, wherever it is cut off; here at every single write."""

from __future__ import annotations

import os
import struct
import zlib

import h5py
import pytest

from bnprobe.store import journal as journal_module
from bnprobe.store.journal import FOOTER, MAGIC, PAGE_BYTES, RUN, Overlay, find_journal
from bnprobe.store.reader import read_run
from tests.store.numbered_runs import NumberedRun, wrong_values
from tests.suites import shortened


def commit_cut_off_everywhere(tmp_path, monkeypatch, change):
    """Yield (run, lengths before, file) for every point at which a SIGKILL can hit the commit of ``change``.

    One commit is watched; what it would have left after any part of its writes is put together from them. What the kernel was
    given before a kill stays, in the order in which it was given.
    """
    path = tmp_path / "run.h5"
    run = NumberedRun(path)
    run.add_steps(40)
    run.add_snapshot()
    run.writer.burst()
    old, before = path.read_bytes(), dict(run.lengths)
    change(run)
    operations = []
    write_at, cut = journal_module.write_at, os.ftruncate
    with monkeypatch.context() as patch:
        patch.setattr(
            journal_module, "write_at", lambda file, data, offset: (operations.append((offset, bytes(data))), write_at(file, data, offset))
        )
        patch.setattr(journal_module.os, "ftruncate", lambda file, size: (operations.append((size, None)), cut(file, size)))
        assert run.writer.burst()
    torn = tmp_path / "torn.h5"
    left = bytearray(old)
    for offset, data in operations:
        for length in cuts(len(data)) if data is not None else [0]:
            torn.write_bytes(left if not length else overwritten(left, offset, data[:length]))
            yield run, before, torn
        left = left[:offset] if data is None else overwritten(left, offset, data)
    assert left == path.read_bytes()
    torn.write_bytes(left)
    yield run, before, torn


def cuts(length):
    """After how many of a write's bytes it is cut off: a kill comes between pages, so a few places inside stand for all."""
    return sorted({0, 1, length // 7, length // 3, length // 2, length - FOOTER.size, length - 1} & set(range(length)))


def overwritten(content, offset, data):
    result = content + bytes(max(0, offset + len(data) - len(content)))
    result[offset : offset + len(data)] = data
    return result


def add_steps(run):
    run.add_steps(40)


def grow_everything(run):
    run.add_layer()
    run.add_parameter()
    run.add_steps(30)
    run.add_snapshot()
    run.writer.add_event(3, "fault", "text")
    run.writer.add_coverage("subject", "reason")


@pytest.mark.parametrize("change", shortened([add_steps, grow_everything], 1))
def test_killed_at_any_write_the_file_is_the_old_or_the_new_one(tmp_path, monkeypatch, change):
    old = new = replayed = 0
    for run, before, path in commit_cut_off_everywhere(tmp_path, monkeypatch, change):
        with path.open("rb") as file:
            replayed += find_journal(file.fileno()) is not None
        read = read_run(path)
        assert read.problems == []
        is_new = read.steps == run.lengths["step"]
        assert wrong_values(read, run.lengths if is_new else before, run.widths) == []
        assert not new or is_new
        old, new = old + (not is_new), new + is_new
    assert old >= 5 and new >= 5 and replayed >= 4


def test_the_next_writer_applies_the_journal(tmp_path, monkeypatch):
    for run, _, path in commit_cut_off_everywhere(tmp_path, monkeypatch, add_steps):
        with path.open("rb") as file:
            found = find_journal(file.fileno())
        if found is not None:
            overlay = Overlay(path)
            assert overlay.end == path.stat().st_size == found.end
            with h5py.File(path, "r") as file:  # without our help
                assert file["step"].shape == (run.lengths["step"],)
            return
    pytest.fail("no kill left a journal")


def test_a_commit_that_fails_leaves_the_old_bytes(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 40)
    before = path.read_bytes()
    overlay = Overlay(path)
    with overlay.attached():
        overlay.seek(100)
        overlay.write(memoryview(b"x" * 5000))
        overlay.seek(0, os.SEEK_END)
        overlay.write(memoryview(b"y" * 5000))
    real = os.write
    monkeypatch.setattr(journal_module.os, "write", lambda descriptor, data: fail_after(real(descriptor, data[:1000])))
    with pytest.raises(OSError, match="full"):
        overlay.commit()
    assert path.read_bytes() == before
    monkeypatch.undo()
    overlay.commit()
    after = path.read_bytes()
    assert after == before[:100] + b"x" * 5000 + before[5100:] + b"y" * 5000


def fail_after(_):
    raise OSError(28, "full")


@pytest.mark.parametrize("size", [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 3 * PAGE_BYTES + 17])
def test_the_overlay_reads_back_what_was_written_over_any_boundary(tmp_path, size):
    path = tmp_path / "a"
    content = bytearray(os.urandom(size))
    path.write_bytes(content)
    overlay = Overlay(path)
    with overlay.attached():
        for offset, length in [(0, 5), (PAGE_BYTES - 3, 6), (size // 2, PAGE_BYTES), (max(0, size - 1), 3), (size + 2 * PAGE_BYTES, 9)]:
            data = os.urandom(length)
            overlay.seek(offset)
            assert overlay.write(memoryview(data)) == length
            content += bytes(max(0, offset + length - len(content)))
            content[offset : offset + length] = data
            overlay.seek(0)
            assert overlay.read() == content
            buffer = bytearray(7)
            overlay.seek(max(0, offset - 3))
            count = overlay.readinto(memoryview(buffer))
            assert buffer[:count] == content[max(0, offset - 3) : max(0, offset - 3) + 7]
    assert path.stat().st_size == size
    overlay.commit()
    assert path.read_bytes() == content


def test_a_file_that_was_cut_or_replaced_is_not_written(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    with pytest.raises(OSError, match="cut it to 100 of 200"):
        Overlay(path, end=200)
    overlay = Overlay(path)
    with overlay.attached():
        overlay.write(memoryview(b"mine"))
    (tmp_path / "b").write_bytes(b"other" * 50)
    os.replace(tmp_path / "b", path)
    with pytest.raises(OSError, match="another file has taken its place"):
        overlay.commit()
    assert path.read_bytes() == b"other" * 50


def test_what_hdf5_does_to_a_file_that_was_given_up_has_no_effect(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    overlay = Overlay(path)
    with overlay.attached():
        overlay.write(memoryview(b"kept"))
    path.rename(tmp_path / "b")
    overlay.seek(50)
    assert overlay.write(memoryview(b"lost")) == 4 and overlay.tell() == 54
    overlay.truncate(1000)
    overlay.seek(0)
    assert len(overlay.read(100)) == 100
    (tmp_path / "b").rename(path)
    overlay.commit()
    assert path.read_bytes() == b"kept" + b"x" * 96


def test_bytes_of_a_killed_commit_are_cut_off(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100 + b"left behind")
    Overlay(path, end=100)
    assert path.read_bytes() == b"x" * 100


def forged(base, end, count, body, tail=b"", checksum=None):
    data = tail + body
    return b"x" * base + data + FOOTER.pack(MAGIC, base, end, count, zlib.crc32(data) if checksum is None else checksum)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        MAGIC,
        b"x" * 8192 + FOOTER.pack(MAGIC, 0, 0, 0, 1),
        forged(8192, 8192, 1, RUN.pack(0, 4) + b"abcd", checksum=5),
        forged(8192, 8192, 1, RUN.pack(1, 4) + b"abcd"),
        forged(8192, 8192, 1, RUN.pack(8192, 4) + b"abcd"),
        forged(8192, 8192, 1, RUN.pack(0, 5) + b"abcd"),
        forged(8192, 8192, 2**63, RUN.pack(0, 4) + b"abcd"),
        forged(8192, 2**63, 1, RUN.pack(0, 4) + b"abcd"),
        forged(8192, 100, 1, RUN.pack(0, 4) + b"abcd"),
        forged(8192, 8192, 1, RUN.pack(2**64 - PAGE_BYTES, PAGE_BYTES) + bytes(PAGE_BYTES)),
        forged(8192, 8192, 1, struct.pack("<Q", 0)),
    ],
)
def test_a_forged_journal_is_no_journal(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert find_journal(file.fileno()) is None


def test_a_well_formed_journal_is_found(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(forged(8192, 8195, 1, RUN.pack(4096, 4) + b"abcd", tail=b"new"))
    with path.open("rb") as file:
        assert find_journal(file.fileno()) == (8195, [(4096, b"abcd")])
