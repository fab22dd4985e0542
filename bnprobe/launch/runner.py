"""Run a target exactly as python itself would.

``runpy.run_path`` comes close but restores the old ``__main__`` when the script returns, so that exit functions and late
threads look into the wrong module, and it leaves ``__file__`` relative. Here the module is made as the interpreter makes it
and stays. Exceptions are shown through ``sys.excepthook`` without our frames.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import io
import os
import pkgutil
import sys
from collections.abc import Callable
from types import CodeType, ModuleType, TracebackType

from bnprobe.errors import RemedyError, ResumeError, UsageError
from bnprobe.launch import ending, notebook, nothing_above
from bnprobe.launch.ending import Ending
from bnprobe.launch.namesakes import forget_namesakes
from bnprobe.launch.nothing_above import is_nothing, with_nothing_above
from bnprobe.launch.target import Target, is_container
from bnprobe.observe.attaching.frames import clean
from bnprobe.observe.options import StopTraining

# Python 3.10 shows importlib.util under its path, later versions as a frozen module.
_OUR_FILES = {__file__, nothing_above.__file__, notebook.__file__, importlib.util.__file__}


def run(target: Target, ended: Callable[[Ending], None]) -> None:
    """Run ``target`` as ``__main__`` and leave as python would.

    Args:
        target: What to run.
        ended: Told how the script ended, before the exception (if any) goes on to the interpreter.

    Raises:
        SystemExit: The script's own, unchanged; or status 1 after its exception was shown.
        KeyboardInterrupt: Already shown; the interpreter turns it into death by SIGINT, once exit functions have run.
        UsageError: The target holds nothing to execute.
        RemedyError: A remedy that was asked for cannot be applied to what the script builds.
        ResumeError: The recording cannot go on in the file that was asked for.
    """
    try:
        _execute(target)
    except StopTraining as stop:
        ended(ending.stopped(str(stop)))
    except SystemExit as leave:
        ended(ending.from_exception(leave))
        raise
    except UsageError as error:
        if error.__traceback__ is not None and _without_our_frames(error.__traceback__) is None:
            raise  # ours: the target has nothing to execute
        _show(error)
        ended(ending.from_exception(error))
        raise SystemExit(1) from None
    except (RemedyError, ResumeError) as error:
        ended(ending.from_exception(error))
        raise  # the user asked us for it, not the script: a message, no traceback
    except KeyboardInterrupt as interrupt:
        _show(interrupt)
        ended(ending.from_exception(interrupt))
        sys.excepthook = _say_nothing
        raise
    except BaseException as error:
        _show(error)
        ended(ending.from_exception(error))
        raise SystemExit(1) from None
    else:
        ended(ending.finished())


def _execute(target: Target) -> None:
    """Prepare ``sys`` and ``__main__`` for the target, and execute its code there."""
    sys.orig_argv = [sys.orig_argv[0], *(["-m"] if target.is_module else []), target.name, *target.arguments]
    if target.is_module:
        spec, code = _find_module(target)
    elif is_container(target.path):
        spec, code = _find_container(target)
    else:
        _enter_folder(os.path.dirname(os.path.realpath(target.path)))
        sys.argv = [target.name, *target.arguments]
        spec, code = None, None
    main = _main_module(target, spec)
    sys.modules["__main__"] = main
    if "__mp_main__" in sys.modules:
        # Whoever imported multiprocessing before us made this alias for the old module.
        sys.modules["__mp_main__"] = main
    if target.is_notebook:
        for cell in notebook.codes(target.path, main):
            with_nothing_above(functools.partial(exec, cell, main.__dict__))
    else:
        with_nothing_above(functools.partial(exec, code or _compile(target.path), main.__dict__))


def _main_module(target: Target, spec: importlib.machinery.ModuleSpec | None) -> ModuleType:
    """Make a module ``__main__`` with the names that this interpreter gives its own."""
    before = sys.modules["__main__"]
    main = ModuleType("__main__")
    names = main.__dict__
    if spec is None:
        names["__file__"] = target.path
        names["__loader__"] = importlib.machinery.SourceFileLoader("__main__", target.path)
        names["__spec__"] = names["__package__"] = None
    else:
        names["__file__"] = spec.origin
        names["__loader__"] = spec.loader
        names["__spec__"] = spec
        names["__package__"] = spec.parent
    names["__builtins__"] = sys.modules["builtins"]
    # Two names that come and go between versions of python.
    if hasattr(before, "__cached__"):
        names["__cached__"] = spec.cached if spec else None
    if "__annotations__" in vars(before):
        names["__annotations__"] = {}
    return main


def _find_module(target: Target) -> tuple[importlib.machinery.ModuleSpec, CodeType]:
    """Find a module's code as ``python -m`` does; this imports the packages around it."""
    _enter_folder(os.getcwd())
    sys.argv = ["-m", *target.arguments]
    name = target.name
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{name}.__main__")
    if spec is None:
        raise UsageError(f"cannot run -m {name}: no module named '{name}'", "check the name of the module")
    code = _code_of(spec)
    sys.argv[0] = spec.origin or name
    return spec, code


def _find_container(target: Target) -> tuple[importlib.machinery.ModuleSpec, CodeType]:
    """Find ``__main__`` in a folder or a zip archive."""
    if _launcher_folder_is_first():
        sys.path[0] = target.path
    else:
        sys.path.insert(0, target.path)
    forget_namesakes(target.path)
    sys.argv = [target.name, *target.arguments]
    spec = importlib.machinery.PathFinder.find_spec("__main__", [target.path])
    if spec is None:
        raise UsageError(f"cannot run '{target.name}': it has no __main__.py", "name the script inside it")
    return spec, _code_of(spec)


def _code_of(spec: importlib.machinery.ModuleSpec) -> CodeType:
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code else None
    if not isinstance(code, CodeType):
        raise UsageError(f"cannot run '{spec.name}': it holds no python code", "name a python module")
    return code


def _compile(path: str) -> CodeType:
    """Compile a script; a ``.pyc`` file is taken as it is."""
    with io.open_code(path) as file:
        source = file.read()
    code = pkgutil.read_code(io.BytesIO(source))
    # dont_inherit: our own __future__ imports are not the script's.
    return code or compile(source, path, "exec", dont_inherit=True)


def _enter_folder(folder: str) -> None:
    """Let imports start in ``folder`` instead of the launcher's, unless python was told to leave it out."""
    if _launcher_folder_is_first():
        sys.path[0] = folder
        forget_namesakes(folder)


def _launcher_folder_is_first() -> bool:
    return not (getattr(sys.flags, "safe_path", False) or sys.flags.isolated)


def _show(error: BaseException) -> None:
    """Show an uncaught exception as the interpreter does."""
    traceback = _without_our_frames(error.__traceback__)
    error.__traceback__ = traceback
    clean(error)
    traceback = error.__traceback__
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, traceback
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    try:
        sys.excepthook(type(error), error, traceback)
    except SystemExit:
        raise
    except BaseException as fault:
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(fault), fault, _without_our_frames(fault.__traceback__))
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, traceback)


def _without_our_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the leading frames of this file and of the import system below it."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        file = code.co_filename
        if file not in _OUR_FILES and not is_nothing(code) and not file.startswith("<frozen importlib"):
            break
        traceback = traceback.tb_next
    return traceback


def _say_nothing(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Stand in for ``sys.excepthook`` once the exception has been shown."""
