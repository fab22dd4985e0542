from __future__ import annotations

import h5py
import pytest

from bnprobe.store.limits_file import write_limits
from tests.cli.test_app import bnprobe
from tests.limit_trials import trials
from tests.suites import shortened
from tests.synthetic_runs import BUILDERS


@pytest.fixture
def runs(tmp_path):
    for name in ("exploding", "healthy"):
        BUILDERS[name](tmp_path / f"{name}.h5")
    return tmp_path


@pytest.mark.slow
def test_page_is_named_after_the_first_run(runs):
    result = bnprobe("report", "exploding.h5", "healthy.h5", cwd=runs)
    assert (result.returncode, result.stdout, result.stderr) == (0, "wrote exploding.html\n", "")
    page = (runs / "exploding.html").read_text()
    assert "exploding" in page and "healthy" in page
    # Reports are made again and again: the page may be overwritten.
    assert bnprobe("report", "exploding.h5", cwd=runs).returncode == 0


@pytest.mark.slow
def test_name_with_other_dots(runs):
    (runs / "healthy.h5").rename(runs / "bnprobe-train.412.h5.part")
    assert bnprobe("report", "bnprobe-train.412.h5.part", cwd=runs).stdout == "wrote bnprobe-train.412.h5.part.html\n"


@pytest.mark.slow
def test_a_file_of_trials_has_nothing_to_follow(tmp_path):
    write_limits(tmp_path / "limits.h5", {"script": "train.py", "steps": 20, "status": "finished"}, trials(), [])
    result = bnprobe("report", "limits.h5", "--follow", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "not live: the run has ended\nwrote limits.html\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    shortened(
        [
            (["nothing.h5"], "nothing.h5"),
            (["."], "is a folder"),
            (["text.txt"], "is not an HDF5 file"),
            (["empty.h5"], "is empty"),
            (["cut.h5"], "cut short or damaged"),
            (["healthy.h5", "-o", "pages/run.html"], "there is no folder 'pages'"),
            (["healthy.h5", "-o", "."], "it is a folder"),
            (["healthy.h5", "-o", "healthy.h5"], "that is a run file"),
            (["healthy.h5", "-o", "exploding.h5"], "that is a run file"),
            (["healthy.h5", "-o", "/proc/self/run.html"], "cannot write /proc/self/run.html"),
        ],
        3,
    ),
)
def test_bad_input_is_one_sentence(runs, arguments, message):
    (runs / "text.txt").write_text("not a run")
    (runs / "empty.h5").write_bytes(b"")
    (runs / "cut.h5").write_bytes((runs / "healthy.h5").read_bytes()[:3000])
    before = {path.name: path.read_bytes() for path in runs.iterdir()}

    result = bnprobe("report", *arguments, cwd=runs)

    assert result.returncode in (1, 2)
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith("bnprobe: ") and message in first
    assert second.startswith("hint: ")
    assert {path.name: path.read_bytes() for path in runs.iterdir()} == before


@pytest.mark.slow
def test_a_run_without_a_step_says_so(runs):
    BUILDERS["zero_steps"](runs / "zero.h5")
    result = bnprobe("report", "healthy.h5", "zero.h5", cwd=runs)
    assert (result.returncode, result.stdout) == (4, "wrote healthy.html\n")
    assert result.stderr == "bnprobe: zero.h5 holds no training step; `bnprobe inspect` says what was seen\n"


@pytest.mark.slow
def test_a_damaged_run_says_so(runs):
    with h5py.File(runs / "healthy.h5", "a") as file:
        short = file["activation_rms"][:3]
        del file["activation_rms"]
        file["activation_rms"] = short
    result = bnprobe("report", "healthy.h5", cwd=runs)
    assert (result.returncode, result.stdout) == (4, "wrote healthy.html\n")
    assert "healthy.h5 is damaged: activation_rms has" in result.stderr


@pytest.mark.slow
def test_without_kaleido_images_are_refused_before_the_page_is_made(runs, monkeypatch):
    from bnprobe.cli import report
    from bnprobe.errors import BnprobeError

    monkeypatch.setitem(__import__("sys").modules, "kaleido", None)
    with pytest.raises(BnprobeError, match="needs kaleido"):
        report.report([runs / "healthy.h5"], images=runs / "images")
    assert not (runs / "healthy.html").exists()


@pytest.mark.parametrize(("status", "expected"), [(4, 4), (None, 1)])
def test_images_that_fail_leave_the_status_of_a_run_that_lacks_something(tmp_path, monkeypatch, status, expected):
    from bnprobe.cli import report
    from bnprobe.errors import BnprobeError

    def fails(*_):
        raise BnprobeError("kaleido could not draw")

    monkeypatch.setattr("bnprobe.integrations.images.write_images", fails)
    with pytest.raises(BnprobeError) as raised:
        report.draw_images([], tmp_path, status)
    assert raised.value.exit_status == expected


@pytest.mark.slow
def test_open_starts_the_browser(runs, monkeypatch, capsys):
    from bnprobe.cli import report

    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or False)
    report.report([runs / "healthy.h5"], show=True)
    assert opened == [(runs / "healthy.html").as_uri()]
    assert "no browser could be started" in capsys.readouterr().out
