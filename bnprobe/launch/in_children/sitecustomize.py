"""Python imports this as it begins in a process that a script recorded with ``--children`` has started (``launch/children.py``).

The folder is the first of ``PYTHONPATH`` and holds nothing else. It leaves ``sys.path`` again, and a ``sitecustomize`` of the user's own
has its turn.
"""

import sys

_AT_START = frozenset(sys.modules)

import importlib.machinery  # noqa: E402
import importlib.util  # noqa: E402
import os  # noqa: E402


def _begin() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [one for one in sys.path if os.path.abspath(one) != folder]
    if "BNPROBE_CHILDREN" in os.environ:
        try:
            _package()
            from bnprobe.launch import children

            children.begin()
            _make_way()
        except Exception as error:  # the process is the script's: it begins whatever becomes of us
            print(f"bnprobe: process {os.getpid()} is not recorded: {type(error).__name__}: {error}", file=sys.stderr)
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def _package() -> None:
    """Import the package that this file lies in, whatever else is called ``bnprobe`` where the process runs."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = importlib.util.spec_from_file_location("bnprobe", os.path.join(root, "__init__.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no package in {root}")
    package = sys.modules["bnprobe"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    package.AT_START = _AT_START  # type: ignore[attr-defined]


def _make_way() -> None:
    """Let what runs here find modules of the names that we have imported where it looks first, once python has come to that."""
    from bnprobe.launch.namesakes import forget_namesakes

    name = sys.argv[0] if sys.argv else ""
    if getattr(sys.flags, "safe_path", False):
        return
    if name in ("", "-c", "-m"):
        forget_namesakes(os.getcwd())
    else:
        forget_namesakes(os.path.realpath(name) if os.path.isdir(name) else os.path.dirname(os.path.realpath(name)))


_begin()
