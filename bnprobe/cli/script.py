"""How a command is told which script to run: as python is told."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Target: TypeAlias = Annotated[
    str, typer.Argument(metavar="TARGET", help="The script or notebook to run, or a module with -m.", show_default=False)
]
Arguments: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(help="The script's own arguments and options, unchanged.", metavar="[ARGS]...", show_default=False),
]
Module: TypeAlias = Annotated[bool, typer.Option("-m", help="TARGET is a module, as in python -m.")]
