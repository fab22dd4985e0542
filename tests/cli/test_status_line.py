from __future__ import annotations

import io

import pytest

from bnprobe.cli.status_line import StatusLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def rows(self) -> list[str]:
        """What a terminal would show: carriage returns and wipes carried out."""
        rows = [""]
        text = self.getvalue()
        while text:
            if text.startswith("\r\x1b[K"):
                rows[-1], text = "", text[4:]
            elif text[0] == "\n":
                rows.append("")
                text = text[1:]
            else:
                rows[-1] += text[0]
                text = text[1:]
        return rows


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    return Terminal()


def test_line_is_rewritten_in_place(terminal):
    line = StatusLine(terminal, Clock())
    line.update("step 100")
    line.update("step 2")
    assert terminal.rows == ["step 2"]
    line.clear()
    assert terminal.rows == [""]


def test_updates_are_few(terminal):
    times = iter([0.0, 0.0, 0.1, 0.2, 0.26, 0.26])
    line = StatusLine(terminal, lambda: next(times))
    for step in range(4):
        line.update(f"step {step}")
    assert terminal.rows == ["step 3"]
    assert "step 1" not in terminal.getvalue() and "step 2" not in terminal.getvalue()


def test_long_lines_are_cut_so_that_they_stay_one_row(terminal):
    StatusLine(terminal, Clock()).update("x" * 100)
    assert terminal.rows == ["x" * 39]


def test_output_of_the_script_starts_on_a_clean_line(terminal):
    line = StatusLine(terminal, Clock())
    line.watch(terminal)
    line.update("step 1")
    print("epoch 1", file=terminal)
    line.update("step 2")
    assert terminal.rows == ["epoch 1", "step 2"]


def test_unfinished_output_is_left_alone(terminal):
    line = StatusLine(terminal, Clock())
    line.watch(terminal)
    terminal.write("50 %|#####")
    line.update("step 1")
    assert not line.is_due()
    assert terminal.rows == ["50 %|#####"]
    terminal.write("\n")
    line.update("step 2")
    assert terminal.rows == ["50 %|#####", "step 2"]


def test_no_terminal_no_line():
    stream = io.StringIO()
    line = StatusLine(stream, Clock())
    line.watch(stream)
    line.update("step 1")
    line.clear()
    assert stream.getvalue() == ""
    assert "write" not in vars(stream)


def test_closed_stream_is_no_reason_to_fail(terminal):
    line = StatusLine(terminal, Clock())
    terminal.close()
    line.update("step 1")
    assert not line.is_live
