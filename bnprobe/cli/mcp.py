"""``bnprobe mcp``: runs as a small Model Context Protocol server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mcp(
    runs: Annotated[list[Path], typer.Argument(help="Run files, recorded or being recorded.", show_default=False, metavar="RUNS...")],
) -> None:
    """Answer questions about runs over the Model Context Protocol, on stdin and stdout.

    For assistants that help with a training. Only these files can be asked about, nothing is written, nothing listens on a port. Needs
    the optional dependencies of that name, mcp.

    \b
      bnprobe mcp run.h5
      bnprobe mcp before.h5 after.h5
    """  # noqa: D301 - \b is typer's mark for lines to leave alone
    from bnprobe.cli.voice import say
    from bnprobe.integrations.mcp_server import server

    server(runs, say).run("stdio")
