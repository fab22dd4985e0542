"""The options on a command's page are those of the command.

``BNPROBE_WRITE_DOCS=1 pytest tests/test_command_pages.py`` writes them anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from bnprobe.cli.app import app

PAGES = Path(__file__).parents[1] / "docs" / "commands"
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
MARK = re.compile(r"(<!-- options: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def options_table(command: Any) -> str:
    """The options and arguments of a command, in its own words."""
    rows = [_row(one) for one in command.params if "--help" not in one.opts and not getattr(one, "hidden", False)]
    if not rows:
        return "\nIt has none.\n\n"
    return "\n| option | default | meaning |\n|---|---|---|\n" + "".join(f"{row}\n" for row in rows) + "\n"


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{parameter.metavar}` | | {_cell(parameter.help)} |"
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    assert parameter.is_flag or parameter.metavar, f"{names}: say what the value is called (metavar)"
    value = "" if parameter.is_flag else f" <code>{_cell(parameter.metavar)}</code>"
    default = "" if parameter.is_flag or parameter.default is None else f"`{parameter.default}`"
    return f"| {names}{value} | {default} | {_cell(parameter.help)} |"


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;")


def test_every_command_has_a_page() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} - {"index"} == set(COMMANDS)
    assert set(re.findall(r"\]\(([a-z-]+)\.md\)", (PAGES / "index.md").read_text(encoding="utf-8"))) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_page_has_the_options_of_its_command(name: str) -> None:
    page = PAGES / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    expected, count = MARK.subn(lambda found: f"{found[1]}{options_table(COMMANDS[name])}{found[3]}", text)
    assert count == 1, f"{page.name} has no place for options: <!-- options: {name} --> ... <!-- end -->"
    if os.environ.get("BNPROBE_WRITE_DOCS"):
        page.write_text(expected, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_page_begins_with_the_general_form(name: str) -> None:
    title, _, fence, form, *_ = (PAGES / f"{name}.md").read_text(encoding="utf-8").splitlines()
    assert (title, fence) == (f"# bnprobe {name}", "```sh")
    assert form.startswith(f"bnprobe {name} ")
