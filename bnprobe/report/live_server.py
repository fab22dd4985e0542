"""Serves a live page to this machine alone: on loopback, to whoever knows the token in its address."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from bnprobe.report.live_page import LivePage

#: How long a browser's question for the next page waits for an answer, in seconds.
WAIT = 20.0


class LiveServer:
    """Answers under ``http://127.0.0.1:PORT/TOKEN/``: the page, and ``page?after=VERSION``, which waits for the next one.

    A request without the token, or one that names another host (a foreign site whose name was made to point here), gets nothing.
    """

    def __init__(self, page: LivePage, port: int = 0) -> None:
        """Open the port.

        Args:
            page: what is served.
            port: where; 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        self.page = page
        self.asked = threading.Event()
        self._token = secrets.token_urlsafe(16)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._token}/"

    def start(self) -> None:
        """Answer from a thread of its own."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="bnprobe page", daemon=True).start()

    def close(self) -> None:
        """Answer no more, and give the port back."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(ConnectionError):  # a browser that was closed, or has opened the page anew, takes no answer and asks no more
                    super().handle()

            def do_GET(self) -> None:
                answer = server._answer(self.path, self.headers.get("Host", ""))
                status, version, text = answer
                body = text.encode("utf-8", "replace")
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.send_header("Bnprobe-Version", str(version))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _answer(self, path: str, host: str) -> tuple[int, int, str]:
        """Return status, version and text."""
        asked = urlsplit(path)
        own = f"/{self._token}/"
        if host != f"127.0.0.1:{self._server.server_port}" or not secrets.compare_digest(asked.path[: len(own)].encode(), own.encode()):
            return 404, 0, ""
        self.asked.set()
        if asked.path == own:
            return (200, *self.page.now())
        known = parse_qs(asked.query).get("after", [""])[0]
        if asked.path != f"{own}page" or not known.isdecimal():
            return 404, 0, ""
        found = self.page.after(int(known), WAIT)
        return (200, *found) if found is not None else (204, int(known), "")
