"""A page that is renewed while its run goes on, and the server that hands it to this machine."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bnprobe.errors import RunFileError
from bnprobe.report import live_page
from bnprobe.report.live_page import LivePage
from bnprobe.report.live_server import LiveServer
from bnprobe.report.plotly_bundle import plotly_js
from bnprobe.store.limits_file import write_limits
from tests.limit_trials import trials
from tests.synthetic_runs import exploding_recording


def written(path: Path, steps: int, *, status: str = "running") -> Path:
    """A run of some steps, as it stands on disk while this process records it, or after its end."""
    made = exploding_recording(steps=steps)
    made.status = status
    made.attributes |= {"pid": os.getpid()}
    new = path.with_suffix(".new")
    made.write(new)
    new.replace(path)
    return path


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LivePage:
    monkeypatch.setattr(live_page, "SHARE", 1.0)  # no rest between two pages
    monkeypatch.setattr(live_page, "render", lambda runs, live, limits: f"{live}: {runs[0].steps} steps")
    return LivePage([written(tmp_path / "run.h5", 4)])


def test_there_is_a_new_page_when_the_file_has_grown(page: LivePage) -> None:
    assert page.now()[0] == 0
    assert page.look()
    assert page.now() == (1, "1: 4 steps")
    assert not page.look()
    written(page.runs[0], 6)
    assert page.look()
    assert page.now() == (2, "2: 6 steps")
    assert not page.is_ended


def test_trials_stand_beside_the_run_and_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_page, "SHARE", 1.0)
    about = {"script": "train.py", "steps": 20, "status": "finished"}
    write_limits(tmp_path / "limits.h5", about, trials()[:1], [])
    page = LivePage([written(tmp_path / "run.h5", 4)], [tmp_path / "limits.h5"])
    assert page.look() and 'id="limits"' in page.now()[1]
    assert not page.look()
    before = page.now()[1]
    write_limits(tmp_path / "limits.h5", about, trials(), [])
    assert page.look()
    story = [text.split('id="limits"')[1].split("</section>")[0] for text in (before, page.now()[1])]
    assert story[0] != story[1]


def test_it_ends_with_the_run(page: LivePage) -> None:
    page.look()
    written(page.runs[0], 6, status="finished")
    page.follow(threading.Event())
    assert page.is_ended
    assert page.now() == (2, "2: 6 steps")


def test_it_ends_with_a_recorder_that_was_killed(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes the file any more, and nothing in it says so."""
    page.look()
    monkeypatch.setattr(live_page, "is_going_on", lambda run: False)
    page.follow(threading.Event())
    assert page.is_ended
    assert page.now()[0] == 2


def test_a_file_that_is_gone_for_a_moment_does_not_end_it(page: LivePage) -> None:
    page.look()
    page.runs[0].unlink()
    with pytest.raises(RunFileError):
        page.look()
    written(page.runs[0], 8, status="finished")
    page.follow(threading.Event())
    assert page.now() == (2, "2: 8 steps")


def test_plotly_is_sent_once(tmp_path: Path) -> None:
    """Whoever asks for the next page has its script already."""
    page = LivePage([written(tmp_path / "run.h5", 4)])
    assert page.look()
    version, text = page.now()
    assert text.count(plotly_js()) == 1
    told = page.after(version - 1, 0.0)
    assert told is not None and told[0] == version
    assert plotly_js() not in told[1] and len(told[1]) < len(text) - 0.99 * len(plotly_js())
    assert 'id="figures"' in told[1]


def test_whoever_waits_is_told(page: LivePage) -> None:
    page.look()
    assert page.after(0, 0.0) == (1, "1: 4 steps")
    assert page.after(1, 0.0) is None
    told = []
    waiter = threading.Thread(target=lambda: told.append(page.after(1, 30.0)))
    waiter.start()
    written(page.runs[0], 5)
    page.look()
    waiter.join()
    assert told == [(2, "2: 5 steps")]


class TestServer:
    @pytest.fixture
    def server(self, page: LivePage) -> Iterator[LiveServer]:
        page.look()
        server = LiveServer(page)
        server.start()
        yield server
        server.close()

    def ask(self, server: LiveServer, path: str | None = None, host: str | None = None) -> tuple[int, str, str | None]:
        address = urlsplit(server.address)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        connection.request("GET", address.path if path is None else path, headers={"Host": host or address.netloc})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, answer.headers["Bnprobe-Version"]

    def test_the_page(self, server: LiveServer) -> None:
        assert self.ask(server) == (200, "1: 4 steps", "1")
        assert server.asked.is_set()

    def test_the_next_page(self, server: LiveServer) -> None:
        own = urlsplit(server.address).path
        assert self.ask(server, f"{own}page?after=0") == (200, "1: 4 steps", "1")

    def test_no_new_page(self, server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bnprobe.report.live_server.WAIT", 0.0)
        assert self.ask(server, f"{urlsplit(server.address).path}page?after=1") == (204, "", "1")

    @pytest.mark.parametrize("path", ["/", "/favicon.ico", "/page?after=0", "/../etc/passwd"])
    def test_without_the_token_there_is_nothing(self, server: LiveServer, path: str) -> None:
        assert self.ask(server, path)[:2] == (404, "")
        assert not server.asked.is_set()

    def test_a_site_whose_name_points_here_gets_nothing(self, server: LiveServer) -> None:
        assert self.ask(server, host="evil.example")[:2] == (404, "")

    def test_only_this_machine_is_answered(self, server: LiveServer) -> None:
        assert server._server.server_address[0] == "127.0.0.1"

    @pytest.mark.parametrize("size", [30_000_000, 10])  # more than any buffer between the two holds; what it was given whole
    def test_a_browser_that_leaves_is_no_error(
        self, server: LiveServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        server.page._text = "x" * size
        is_left = threading.Event()
        monkeypatch.setattr(server._server, "close_request", lambda request: (request.close(), is_left.set()))  # behind any traceback
        address = urlsplit(server.address)
        with socket.create_connection((address.hostname, address.port)) as left:
            left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end is a reset, not a farewell
            left.sendall(f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            received = b""
            while size < 100 and not received.endswith(b"x" * size):
                received += left.recv(1000)
        assert is_left.wait(60), "the server holds on to a connection that is gone"
        assert capfd.readouterr().err == ""

    def test_what_is_asked_wrongly_is_refused(self, server: LiveServer) -> None:
        own = urlsplit(server.address).path
        for path in ("page", "page?after=x", "page?after=-1", "other"):
            assert self.ask(server, own + path)[:2] == (404, "")
