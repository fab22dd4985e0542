"""The code cells of a notebook, run one after another as one program.

The names are those of a script, ``__name__`` is ``__main__``; as in a notebook there is no ``__file__``. Each cell is compiled under a name
of its own, so that a traceback says which cell it was. Magics and shell lines are IPython's and need it; results of last lines are not
shown.
"""

from __future__ import annotations

import importlib
import json
import linecache
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from bnprobe.errors import UsageError

SUFFIX = ".ipynb"
#: What IPython's own syntax becomes when it is turned into Python.
_CALL_OF_IPYTHON = re.compile(r"\bget_ipython\(\)")
#: A line that may be IPython's: a magic, a shell line, a question. Python has none of these at the start of a line, or after "=".
_MAY_BE_MAGIC = re.compile(r"^\s*[%!?]|\?\s*$|=\s*[%!]", re.MULTILINE)


def is_notebook(name: str) -> bool:
    """Whether a file's name is that of a notebook."""
    return name.endswith(SUFFIX)


def check(name: str) -> None:
    """Read a notebook and see that all of it can be run here.

    Raises:
        UsageError: it is no notebook, is not in Python, has no code, or needs an IPython that is not there.
    """
    for number, source in _cells(name):
        _as_python(name, number, source)


def codes(path: str, main: ModuleType) -> Iterator[CodeType]:
    """Compile the cells, each when its turn comes.

    Args:
        path: of the notebook.
        main: the module that they run in; with the first magic it gets IPython's shell.

    Yields:
        the code of each cell.

    Raises:
        UsageError: as ``check``.
    """
    del main.__file__
    if sys.excepthook is sys.__excepthook__:
        # The interpreter's own looks for the text of a line in files alone; this one prints the same and asks linecache.
        sys.excepthook = traceback.print_exception
    has_shell = False
    for number, source in _cells(path):
        text = _as_python(path, number, source)
        if not has_shell and _CALL_OF_IPYTHON.search(text):
            _start_shell(main)
            has_shell = True
        name = f"{Path(path).name} cell {number}"
        # Where tracebacks look for the text of a line; no time of change: there is no such file to compare with.
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        yield compile(text, name, "exec", dont_inherit=True)


def _cells(path: str) -> list[tuple[int, str]]:
    """The code cells with something in them, numbered from 1 as they stand."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        language = document.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        # Before version 4 the cells stood in worksheets.
        cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
        texts = ["".join(cell["source"]) for cell in cells]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "it is expected to be JSON of nbformat 4: jupyter nbconvert --to notebook converts older ones"
        raise UsageError(f"'{path}' is not a notebook that can be read ({error!r})", hint) from None
    if language != "python":
        raise UsageError(f"'{path}' is a notebook in {language}", "bnprobe records trainings of torch in Python")
    found = [(number, text) for number, text in enumerate(texts, 1) if text.strip()]
    if not found:
        raise UsageError(f"'{path}' has no code", "name a notebook with code cells")
    return found


def _as_python(path: str, number: int, source: str) -> str:
    """The cell with IPython's own syntax turned into calls."""
    if not _MAY_BE_MAGIC.search(source):
        return source
    try:
        transformer: Any = importlib.import_module("IPython.core.inputtransformer2")
    except ImportError:
        if _is_python(source):
            return source
        line = next(line.strip() for line in source.splitlines() if _MAY_BE_MAGIC.search(line))
        raise UsageError(f"cell {number} of '{path}' has a line for IPython: {line}", "pip install ipython, or take the line out") from None
    return str(transformer.TransformerManager().transform_cell(source))


def _is_python(source: str) -> bool:
    try:
        compile(source, "cell", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _start_shell(main: ModuleType) -> None:
    """Give the cells a shell to put their magics to. It keeps no history: that would open a database in the user's home."""
    shell: Any = importlib.import_module("IPython.core.interactiveshell").InteractiveShell
    config: Any = importlib.import_module("traitlets.config").Config
    chosen = config()
    chosen.HistoryManager.enabled = False
    started = shell.instance(config=chosen, user_module=main, user_ns=main.__dict__)
    main.__dict__["get_ipython"] = started.get_ipython
