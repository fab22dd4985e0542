"""The reader on files that are not what they should be: a clear error, or what is sound with a note about the rest."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest

from bnprobe.errors import RunFileError
from bnprobe.store import reader
from bnprobe.store.reader import read_run
from bnprobe.store.schema import DIMENSIONS, TEXT, VARIABLES
from tests.store.numbered_runs import NumberedRun
from tests.suites import shortened


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = NumberedRun(tmp_path_factory.mktemp("whole") / "run.h5")
    for _ in range(2):
        run.add_steps(20)
        run.add_snapshot()
        run.writer.add_event(1, "fault", "text")
        run.writer.burst()
    run.writer.close(status="finished")
    return run


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copy(whole.writer.path, tmp_path / "run.h5")


def usable(run):
    """Every variable can be asked for and has the shape its axes demand."""
    lengths = {"layer": len(run.layers), "parameter": len(run.parameters), "group": len(run.groups), "step": run.steps}
    for variable in VARIABLES.values():
        array = run[variable.name]
        assert array.ndim == len(variable.dims)
        for length, dimension in zip(array.shape, variable.dims, strict=True):
            assert length == lengths.get(dimension, length)
    return run


def refused(path, match):
    with pytest.raises(RunFileError, match=match) as caught:
        read_run(path)
    assert caught.value.hint
    assert len(str(caught.value)) < 1000


def test_a_file_that_changes_whenever_it_is_read(tmp_path, monkeypatch):
    # GIVEN a recording that writes another burst while its file is being read
    run = NumberedRun(tmp_path / "run.h5")
    run.add_steps(20)
    run.writer.burst()
    original = reader.read_reply

    def read(path, size, table="run", copy=None):
        reply = original(path, size, table, copy)
        if copy is None:
            run.add_steps(5)
            run.writer.burst()
            reply.arrays["loss"] = original(path, size, table).arrays["loss"]
        return reply

    monkeypatch.setattr(reader, "read_reply", read)
    # WHEN it is read
    # THEN what is read agrees
    found = usable(read_run(run.writer.path))
    assert not found.problems and found.steps == 30
    assert list(tmp_path.iterdir()) == [run.writer.path]


def changing(monkeypatch, path, fails_from):
    """Let a file change with every reading of it; readings fail from one on."""
    original, readings = reader.read_quarantined, []

    def read(read_path, table):
        readings.append(read_path)
        os.utime(path, ns=(len(readings), len(readings)))
        if len(readings) >= fails_from:
            raise reader.Refused("in the middle of a burst")
        return original(read_path, table)

    monkeypatch.setattr(reader, "read_quarantined", read)
    return readings


def test_a_growing_file_is_read_where_there_is_no_room_for_a_copy(path, monkeypatch):
    def no_room(**settings):
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(reader.tempfile, "TemporaryDirectory", no_room)
    readings = changing(monkeypatch, path, fails_from=3)
    assert usable(read_run(path)).steps == 40
    assert [str(one) for one in readings] == [str(path)] * 3


def test_a_large_growing_file_is_not_copied(path, monkeypatch):
    monkeypatch.setattr(reader, "MOST_COPIED_BYTES", path.stat().st_size - 1)
    readings = changing(monkeypatch, path, fails_from=4)
    assert usable(read_run(path)).steps == 40
    assert [str(one) for one in readings] == [str(path)] * 3


def test_what_is_wrong_with_a_copy_is_told_of_the_file(path, monkeypatch):
    readings = changing(monkeypatch, path, fails_from=1)
    refused(path, f"^{path} .*is cut short or damaged")
    assert readings[-1] != path


# -- not a run file at all --------------------------------------------------------------------------------------------


def test_no_such_file(tmp_path):
    refused(tmp_path / "missing.h5", "No such file")


def test_a_name_with_a_nul(tmp_path):
    refused(tmp_path / "a\0b", "null")


def test_a_folder(tmp_path):
    refused(tmp_path, "is a folder")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.h5").touch()
    refused(tmp_path / "a.h5", "is empty")


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    refused(tmp_path / "a.h5", "not a regular file")


@pytest.mark.parametrize("content", [b"x", b"\x89HD", b"hello" * 1000, b"\x89PNG\r\n\x1a\n" * 9, b"\x80\x04\x95pickle"])
def test_another_kind_of_file(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    refused(tmp_path / "a.h5", "not an HDF5 file")


def test_no_permission(path):
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("who runs this may read everything")
    refused(path, "Permission denied")


@pytest.mark.parametrize(
    "conventions", [None, "CF-1.8", "bnprobe", "bnprobe-", "bnprobe-x", "bnprobe-²", 1, [1, 2], np.array([b"a", b"b"]), h5py.Empty("f4")]
)
def test_another_programs_file(tmp_path, conventions):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["loss"] = np.arange(3.0)
        if conventions is not None:
            file.attrs["Conventions"] = conventions
    refused(tmp_path / "a.h5", "not one of bnprobe's")


@pytest.mark.parametrize("version", ["2", "99", "9" * 5000])
def test_a_newer_schema(path, version):
    with h5py.File(path, "r+") as file:
        file.attrs["Conventions"] = f"bnprobe-{version}"
    with pytest.raises(RunFileError, match="this bnprobe reads up to bnprobe-1") as caught:
        read_run(path)
    assert "upgrade" in caught.value.hint


# -- cut short --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [8, 9, 24, 96, 97, 512, 2048, 0.1, 0.3, 0.5, 0.7, 0.9, -4096, -8, -1])
def test_truncated(path, left):
    size = path.stat().st_size
    os.truncate(path, int(left * size) if isinstance(left, float) else left % size)
    refused(path, "cut short or damaged")


def test_bytes_behind_the_end_do_not_matter(path, whole):
    with path.open("ab") as file:
        file.write(os.urandom(5000))
    assert whole.wrong(read_run(path)) == []


# -- parts missing, or of a wrong kind --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shortened(VARIABLES, 25))
def test_a_missing_variable_is_missing_values(path, whole, name):
    with h5py.File(path, "r+") as file:
        del file[name]
    run = usable(read_run(path))
    expected = np.full(tuple(whole.lengths.get(d, run._length(d)) for d in VARIABLES[name].dims), VARIABLES[name].missing)
    assert run[name].shape == expected.shape
    assert all(value == VARIABLES[name].missing or value != value for value in run[name].ravel())
    assert whole.wrong(run) in ([], [name])


def test_nothing_but_the_conventions(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["Conventions"] = "bnprobe-1"
    run = usable(read_run(tmp_path / "a.h5"))
    assert (run.steps, run.layers, run.status, run.problems) == (0, [], "unknown", [])
    assert run.observed().shape == (0,)
    assert run.channel_slice(0) == slice(0, 0)


def put(path, name, make):
    with h5py.File(path, "r+") as file:
        del file[name]
        make(file, name)


def external_storage(file, name):
    file.create_dataset(name, (40,), "f8", external=[("/etc/passwd", 0, 320)])


def virtual(file, name):
    layout = h5py.VirtualLayout((40,), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "loss", (40,))
    file.create_virtual_dataset(name, layout)


def huge(*shape):
    def make(file, name):
        file.create_dataset(name, shape, "f8", chunks=(64, *(8 for _ in shape[1:])), maxshape=(None,) * len(shape))

    return make


def with_unknown_filter(file, name):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((40,))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((40,)), properties)


HOSTILE_LOSSES = {
    "a group": lambda file, name: file.create_group(name),
    "a named type": lambda file, name: file.__setitem__(name, np.dtype("f8")),
    "a scalar": lambda file, name: file.__setitem__(name, 1.0),
    "null": lambda file, name: file.__setitem__(name, h5py.Empty("f8")),
    "too many axes": lambda file, name: file.__setitem__(name, np.zeros((40, 3))),
    "texts": lambda file, name: file.__setitem__(name, ["a"] * 40),
    "compound": lambda file, name: file.__setitem__(name, np.zeros(40, dtype=[("a", "f8"), ("b", "i4")])),
    "opaque": lambda file, name: file.__setitem__(name, np.zeros(40, dtype="V8")),
    "references": lambda file, name: file.create_dataset(name, (40,), h5py.ref_dtype),
    "regions": lambda file, name: file.create_dataset(name, (40,), h5py.regionref_dtype),
    "ragged": lambda file, name: file.create_dataset(name, (40,), h5py.vlen_dtype("f8")),
    "complex": lambda file, name: file.__setitem__(name, np.zeros(40, dtype="c16")),
    "booleans": lambda file, name: file.__setitem__(name, np.zeros(40, dtype=bool)),
    "arrays": lambda file, name: file.create_dataset(name, (40,), np.dtype(("f8", (3,)))),
    "external storage": external_storage,
    "virtual": virtual,
    "external link": lambda file, name: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "loss")),
    "soft link": lambda file, name: file.__setitem__(name, h5py.SoftLink("/wall_time")),
    "cyclic link": lambda file, name: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
    "dangling link": lambda file, name: file.__setitem__(name, h5py.SoftLink("/nowhere")),
    "cyclic group": lambda file, name: file.create_group(name).__setitem__("again", file[name]),
    "huge": huge(2**40),
    "larger than can be counted": huge(2**62),
    "an unknown filter": with_unknown_filter,
}


@pytest.mark.parametrize("make", HOSTILE_LOSSES.values(), ids=HOSTILE_LOSSES.keys())
def test_a_variable_that_is_something_else_is_left_out_and_noted(path, whole, make):
    put(path, "loss", make)
    run = usable(read_run(path))
    assert [problem for problem in run.problems if problem.startswith("loss ")] == run.problems != []
    assert np.isnan(run["loss"]).all()
    assert whole.wrong(run) == ["loss"]


@pytest.mark.parametrize("shape", [(40, 2**40), (2**31, 2**31), (2**20, 2**20)])
def test_a_huge_table_is_not_read(path, whole, shape):
    put(path, "activation_rms", huge(*shape))
    run = usable(read_run(path))
    assert "more than the file can hold" in run.problems[0]
    assert whole.wrong(run) == ["activation_rms"]


@pytest.mark.parametrize("dtype", ["f4", ">f8", "f2", "i2"])
def test_numbers_of_another_width_are_converted(path, whole, dtype):
    put(path, "loss", lambda file, name: file.__setitem__(name, np.arange(40).astype(dtype)))
    run = read_run(path)
    assert run.problems == [] and run["loss"].dtype == np.float64
    assert run["loss"].tolist() == list(range(40))


def test_fractions_are_no_indices(path):
    put(path, "channel_layer", lambda file, name: file.__setitem__(name, np.full(9, np.nan)))
    run = usable(read_run(path))
    assert run.problems and run.channel_slice(0) == slice(0, 0)


@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if variable.dtype == TEXT])
def test_numbers_in_place_of_texts(path, whole, name):
    length = whole.lengths.get(VARIABLES[name].dims[0], 2)
    put(path, name, lambda file, name: file.__setitem__(name, np.arange(length)))
    run = usable(read_run(path))
    assert run.problems == [f"{name} could not be read: expected texts, found int64"]


@pytest.mark.parametrize("text", [b"\xff\xfe not utf-8", b"x" * 1_000_000, b""])
def test_damaged_texts(path, whole, text):
    put(path, "layer", lambda file, name: file.create_dataset(name, data=[text] * 3, dtype=h5py.string_dtype()))
    run = usable(read_run(path))
    assert len(run.layers) == 3 and len(run.layers[0].name) <= 10_000
    run.layers[0].name.encode()


def test_fixed_length_texts(path):
    put(path, "layer", lambda file, name: file.__setitem__(name, np.array([b"a", b"b", b"c"])))
    assert [layer.name for layer in read_run(path).layers] == ["a", "b", "c"]


def test_a_damaged_text_heap(path, whole):
    content = bytearray(path.read_bytes())
    places = [index for index in range(len(content)) if content[index : index + 4] == b"GCOL"]
    assert places
    for place in places:
        content[place + 16 : place + 32] = struct.pack("<QQ", 2**63, 2**63)
    path.write_bytes(content)
    try:
        run = usable(read_run(path))
    except RunFileError:
        return
    assert run.problems


def test_a_flipped_bit_among_the_numbers_is_seen(path, whole):
    with h5py.File(path) as file:
        place = file["loss"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 80] ^= 1
    path.write_bytes(content)
    run = usable(read_run(path))
    assert len(run.problems) == 1 and run.problems[0].startswith("loss could not be read")
    assert whole.wrong(run) == ["loss"]


# -- axes that disagree -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "kept"), [(39, False), (0, False), (41, True), (1000, True)])
def test_one_variable_of_another_length(path, whole, length, kept):
    with h5py.File(path, "r+") as file:
        file["loss"].resize((length,))
    run = usable(read_run(path))
    assert run.steps == 40 and len(run.problems) == 1
    assert whole.wrong(run) == ([] if kept else ["loss"])


def test_one_table_of_another_width(path, whole):
    with h5py.File(path, "r+") as file:
        file["activation_rms"].resize((40, 2))
        file["activation_max"].resize((40, 7))
    run = usable(read_run(path))
    assert len(run.problems) == 2 and len(run.layers) == 3
    assert whole.wrong(run) == ["activation_rms"]


# -- attributes -------------------------------------------------------------------------------------------------------


def test_odd_attributes_are_left_out(path, whole):
    with h5py.File(path, "r+") as file:
        file.attrs["compound"] = np.zeros(1, dtype=[("a", "f8")])[0]
        file.attrs["many"] = np.arange(5)
        file.attrs["one"] = np.arange(1)
        file.attrs["empty"] = h5py.Empty("f8")
        file.attrs["reference"] = file.ref
        file.attrs["bytes"] = np.bytes_(b"\xff")
        file.attrs["complex"] = 1j
        file.attrs["opaque"] = np.void(b"abc")
        file.attrs["yes"] = True
        file.attrs["nan"] = np.nan
        ragged = np.empty(1, dtype=object)
        ragged[0] = np.arange(3, dtype="i4")
        file.attrs.create("ragged", ragged, dtype=h5py.vlen_dtype("i4"))
    run = read_run(path)
    odd = set(run.attributes) - set(read_run(whole.writer.path).attributes)
    assert odd == {"one", "bytes", "yes", "nan"}
    assert run.attributes["bytes"] == "\ufffd" and run.attributes["one"] == 0
    assert whole.wrong(run) == []


def test_no_end_of_attributes(path, whole):
    with h5py.File(path, "r+") as file:
        for number in range(3000):
            file.attrs[f"a{number}"] = "x"
    assert len(read_run(path).attributes) <= 1000


def test_a_status_that_is_no_text(path):
    with h5py.File(path, "r+") as file:
        file.attrs["status"] = 3
    assert read_run(path).status == "3"


# -- beside the file --------------------------------------------------------------------------------------------------


def test_reading_changes_nothing_and_needs_neither_torch_nor_h5py_here(path):
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    path.chmod(0o400)
    program = f"""
import sys
from bnprobe.store.reader import read_run
run = read_run({str(path)!r})
assert run.steps == 40
run["loss"][0] = 1.0  # the arrays are the caller's own
assert not {{"torch", "h5py"}} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_run_is_read_while_it_is_recorded(tmp_path):
    run = NumberedRun(tmp_path / "run.h5")
    for _ in range(10):
        run.add_steps(3)
        run.writer.burst()
        assert run.wrong(read_run(tmp_path / "run.h5")) == []


def test_a_name_that_is_no_text(path, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xe9\n.h5")
    try:
        shutil.copy(path, odd)
    except OSError:
        pytest.skip("this file system wants text")
    assert read_run(odd).steps == 40


def test_every_axis_is_covered(path):
    assert set(read_run(path).lengths) == set(DIMENSIONS)
