"""A recorded script must find the world that plain python gives it. Most tests compare the two outputs."""

from __future__ import annotations

import os
import py_compile
import re
import zipfile

import pytest

from tests.launch.conftest import FAKE
from tests.suites import shortened

SURROUNDINGS = """
import sys
names = sorted(globals())
main = sys.modules["__main__"]
print(names)
print(__name__, repr(__package__), __file__, repr(__doc__), __builtins__.__name__, main.__dict__ is globals())
print(__spec__ and (__spec__.name, __spec__.origin), type(__loader__).__name__, getattr(__loader__, "path", None))
print(sys.argv, sys.path[0], len(sys.path))
print(sys.excepthook is sys.__excepthook__, sys.orig_argv[1:], sys.stdout.isatty(), type(sys.stdout))
print(sorted({"torch", "numpy", "h5py", "scipy", "multiprocessing"} & set(sys.modules)))
"""


def same(bench, *command: str, flags: tuple[str, ...] = (), **environment: str):
    """Run both ways and demand equal status and output; return the recorded one."""
    plain = bench.plain(*flags, *command, **environment)
    target = [*command[1:]] if command[0] == "-m" else [*command]
    options = ("-q", "-m") if command[0] == "-m" else ("-q",)
    launcher = bench.command(*options)
    recorded = bench._run([launcher[0], *flags, *launcher[1:], *target], environment)
    note = "bnprobe: the script never imported torch; nothing was recorded\n"
    assert recorded.stdout == plain.stdout
    assert recorded.stderr.replace(note, "") == re.sub(r'  File "<frozen runpy>".*\n', "", plain.stderr)
    assert recorded.status == plain.status
    return recorded


class TestScript:
    def test_surroundings(self, bench):
        bench.write("train.py", '"""Docs."""\n' + SURROUNDINGS)
        assert "train.py" in same(bench, "train.py", "--lr", "0.1", "-o", "x", "--every", "--help").stdout

    @pytest.mark.parametrize("path", ["./train.py", "folder/../train.py", "folder/deep.py", "link.py"])
    def test_surroundings_of_any_path(self, bench, path):
        bench.write("train.py", SURROUNDINGS)
        bench.write("folder/deep.py", SURROUNDINGS)
        (bench.folder / "link.py").symlink_to(bench.folder / "folder" / "deep.py")
        same(bench, path)

    def test_absolute_path(self, bench):
        same(bench, str(bench.write("folder/train.py", SURROUNDINGS)))

    def test_isolated_python_keeps_the_folder_out(self, bench):
        bench.write("train.py", "import sys\nprint(sys.path)")
        # -P needs python 3.11, and -I would drop the path to the stand-in for torch.
        same(bench, "train.py", PYTHONSAFEPATH="1")

    @pytest.mark.parametrize("by_module", [False, True])
    def test_modules_beside_the_script_outrank_the_library(self, bench, by_module):
        """Whatever we have imported of the library, or beside it, before the script began."""
        bench.write("code/calendar.py", "mine = 'calendar'")
        bench.write("code/typer/__init__.py", "mine = 'typer'")
        bench.write("code/email/__init__.py", "from email import parts\nmine = parts.mine")
        bench.write("code/email/parts.py", "mine = 'email'")
        bench.write("code/gettext/notes.txt", "a folder without code is no module")
        bench.write("code/marshal.py", "mine = 'a part of the interpreter outranks it'")
        program = "import calendar, email, typer, gettext, marshal\nprint(calendar.mine, email.mine, typer.mine)\n"
        program += "print(hasattr(marshal, 'mine'), hasattr(gettext, 'gettext'))"
        bench.write("code/__main__.py", program)
        bench.write("code/train.py", program)
        assert "calendar email typer" in same(bench, "code" if by_module else "code/train.py").stdout

    def test_what_we_import_later_is_of_the_library(self, bench):
        """Nor is a file executed for it that the script has not asked for."""
        bench.write("statistics.py", "print('executed')\nmine = True")
        bench.write("fractions.py", "print('executed')\nraise ImportError('which statistics asks for')")
        bench.write("train.py", "import bnprobe.divergence as ours\nprint(hasattr(ours.statistics, 'median'))")
        assert bench.record("train.py").stdout == "True\n"
        bench.write(
            "train.py",
            "import statistics as mine, bnprobe.divergence as ours, statistics\nprint(statistics is mine is not ours.statistics)",
        )
        assert bench.record("train.py").stdout == "executed\nTrue\n"

    def test_a_namesake_that_is_what_we_have_is_left(self, bench):
        """A script in the source of a package that we have imported by another way to the same folder."""
        bench.write("source/colour/__init__.py", "print('executed')")
        (bench.folder / "link").symlink_to(bench.folder / "source")
        bench.write("begun/sitecustomize.py", "import sys\nimport importlib.util\n")
        launcher = "import colour, sys\nfrom bnprobe.launch.namesakes import forget_namesakes\n"
        launcher += "before = sys.modules['colour']\nforget_namesakes(sys.argv[1])\nimport colour\nprint(colour is before)"
        path = os.pathsep.join([str(bench.folder / "link"), str(FAKE)])
        result = bench.plain("-c", f"import sys, bnprobe\n{launcher}", str(bench.folder / "source"), PYTHONPATH=path)
        assert result.stdout == "executed\nTrue\n"

    def test_imports_beside_the_script(self, bench):
        bench.write("folder/train.py", "import helper\nprint(helper.__file__)")
        bench.write("folder/helper.py", "")
        same(bench, "folder/train.py")

    def test_future_imports_are_not_inherited(self, bench):
        bench.write("train.py", "def f(x: int): pass\nprint(f.__annotations__)")
        assert "<class 'int'>" in same(bench, "train.py").stdout

    def test_annotations_of_the_module(self, bench):
        bench.write("train.py", "rate: float = 0.1\nprint(__annotations__)")
        same(bench, "train.py")

    def test_source_encoding(self, bench):
        (bench.folder / "train.py").write_bytes("# -*- coding: latin-1 -*-\nprint(ascii('é'))".encode("latin-1"))
        same(bench, "train.py")

    def test_compiled_script(self, bench):
        py_compile.compile(str(bench.write("train.py", "print(__name__, __file__)")), str(bench.folder / "train.pyc"))
        same(bench, "train.pyc")

    def test_main_stays_for_exit_functions(self, bench):
        bench.write("train.py", "import atexit, sys\nx = 3\natexit.register(lambda: print(sys.modules['__main__'].x))")
        same(bench, "train.py")

    def test_optimised_python(self, bench):
        bench.write("train.py", "assert False\nprint(__debug__)")
        assert same(bench, "train.py", flags=("-O",)).stdout == "False\n"

    def test_deprecations_in_main_are_shown(self, bench):
        bench.write("train.py", "import warnings\nwarnings.warn('old', DeprecationWarning)")
        assert "old" in same(bench, "train.py").stderr


class TestFolderAndArchive:
    def test_folder(self, bench):
        bench.write("program/__main__.py", SURROUNDINGS + "import helper")
        bench.write("program/helper.py", "print(__file__)")
        same(bench, "program", "-x")

    def test_zip(self, bench):
        with zipfile.ZipFile(bench.folder / "program.pyz", "w") as archive:
            archive.writestr("__main__.py", SURROUNDINGS + "import helper")
            archive.writestr("helper.py", "print(__file__)")
        same(bench, "program.pyz", "-x")


class TestModule:
    def test_module_in_the_folder(self, bench):
        bench.write("train.py", SURROUNDINGS)
        same(bench, "-m", "train", "-m", "other", "-o", "x")

    def test_module_in_a_package_with_relative_imports(self, bench):
        bench.write("package/__init__.py", "import sys\nprint(sys.argv, __name__)")
        bench.write("package/helper.py", "print(__name__)")
        bench.write("package/train.py", "from . import helper\n" + SURROUNDINGS)
        same(bench, "-m", "package.train", "--lr", "1")

    def test_package(self, bench):
        bench.write("package/__init__.py", "")
        bench.write("package/__main__.py", "from . import helper\n" + SURROUNDINGS)
        bench.write("package/helper.py", "")
        same(bench, "-m", "package", "a")

    def test_namespace_package(self, bench):
        bench.write("space/train.py", SURROUNDINGS)
        same(bench, "-m", "space.train")

    def test_module_of_the_library(self, bench):
        bench.write("data.json", '{"a": 1}')
        same(bench, "-m", "json.tool", "data.json")

    def test_package_that_imports_torch(self, bench):
        bench.write("package/__init__.py", "import torch")
        bench.write("package/train.py", "import torch\ntorch.step()\nprint(torch.observers != [])")
        result = bench.record("-m", "package.train")
        assert (result.stdout, result.ending) == ("True\n", ("finished", "", 0))

    def test_package_that_fails_to_import(self, bench):
        bench.write("package/__init__.py", "import train_config")
        bench.write("package/train.py", "")
        result = bench.record("-m", "package.train")
        assert result.status == bench.plain("-m", "package.train").status == 1
        assert "No module named 'train_config'" in result.stderr
        assert "runner.py" not in result.stderr


class TestExceptions:
    def test_traceback_is_that_of_python(self, bench):
        bench.write("train.py", "def f():\n    1 / 0\ntry:\n    f()\nexcept ZeroDivisionError as e:\n    raise KeyError(2) from e")
        assert "ZeroDivisionError" in same(bench, "train.py").stderr

    def test_syntax_error(self, bench):
        bench.write("train.py", "import torch\ndef f(:\n    pass")
        assert "SyntaxError" in same(bench, "train.py").stderr

    def test_null_bytes(self, bench):
        (bench.folder / "train.py").write_bytes(b"print(1)\n\0")
        result = bench.record("train.py")
        assert result.status == 1
        assert "null bytes" in result.stderr
        assert "runner.py" not in result.stderr

    def test_error_in_an_import(self, bench):
        bench.write("train.py", "import helper")
        bench.write("helper.py", "def f(:")
        same(bench, "train.py")

    def test_module_that_raises(self, bench):
        bench.write("package/__init__.py", "")
        bench.write("package/train.py", "raise ValueError(3)")
        same(bench, "-m", "package.train")

    def test_excepthook_of_the_script(self, bench):
        bench.write("train.py", "import sys\nsys.excepthook = lambda *what: print('mine', what[:2])\nraise ValueError(3)")
        assert "mine" in same(bench, "train.py").stdout

    def test_excepthook_that_exits(self, bench):
        bench.write("train.py", "import sys\nsys.excepthook = lambda *what: sys.exit(9)\nraise ValueError(3)")
        assert same(bench, "train.py").status == 9

    def test_excepthook_that_fails(self, bench):
        bench.write("train.py", "import sys\ndef hook(*what):\n    1 / 0\nsys.excepthook = hook\nraise ValueError(3)")
        result = bench.record("train.py")
        assert result.status == 1
        assert "Error in sys.excepthook" in result.stderr
        assert result.stderr.rstrip().splitlines()[-2:][0] == "ValueError: 3"

    def test_last_exception_is_there_for_a_post_mortem(self, bench):
        bench.write("train.py", "import atexit, sys\natexit.register(lambda: print(repr(sys.last_value)))\nraise ValueError(3)")
        same(bench, "train.py")

    def test_exit_with_a_text(self, bench):
        bench.write("train.py", "import sys\nsys.exit('no data at all')")
        assert same(bench, "train.py").stderr.startswith("no data at all\n")

    def test_error_named_like_ours(self, bench):
        bench.write("train.py", "from bnprobe.errors import UsageError\nraise UsageError('from the script')")
        assert "Traceback" in same(bench, "train.py").stderr

    def test_broken_pipe_belongs_to_the_script(self, bench):
        bench.write("train.py", "raise BrokenPipeError(32, 'Broken pipe')")
        assert "Traceback" in same(bench, "train.py").stderr


class TestProcesses:
    @pytest.mark.parametrize("method", shortened(["spawn", "fork", "forkserver"], 1))
    def test_multiprocessing(self, bench, method):
        bench.write(
            "train.py",
            f"""
            import multiprocessing, pickle, torch

            class Point:
                def __init__(self, x):
                    self.x = x

            def double(point):
                return Point(2 * point.x)

            if __name__ == "__main__":
                with multiprocessing.get_context("{method}").Pool(2) as pool:
                    print([point.x for point in pool.map(double, [Point(1), Point(2)])])
                print(pickle.loads(pickle.dumps(Point(3))).x, Point.__module__)
                torch.step()
            """,
        )
        result = same(bench, "train.py")
        assert result.ending == ("finished", "", 0)
        assert [event["event"] for event in result.events] == ["install", "finish"]

    def test_spawn_from_a_module(self, bench):
        bench.write("package/__init__.py", "")
        bench.write("package/jobs.py", "def double(x):\n    return 2 * x")
        bench.write(
            "package/train.py",
            """
            import multiprocessing
            from . import jobs

            def triple(x):
                return 3 * x + jobs.double(x)

            if __name__ == "__main__":
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.map(triple, [1, 2]))
            """,
        )
        assert same(bench, "-m", "package.train").stdout == "[5, 10]\n"

    def test_script_that_starts_itself_again(self, bench):
        """Launchers rebuild their command from sys.orig_argv: the copy runs plainly, not into the same file."""
        bench.write(
            "train.py",
            """
            import subprocess, sys, torch
            print(sys.argv)
            sys.stdout.flush()
            if "child" not in sys.argv:
                subprocess.run([*sys.orig_argv, "child"])
            """,
        )
        result = same(bench, "train.py", "parent")
        assert [event["event"] for event in result.events] == ["install", "finish"]


def test_argparse_with_options_named_like_ours(bench):
    bench.write(
        "train.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("-o", "--output")
        parser.add_argument("-m", action="store_true")
        parser.add_argument("--every", type=int)
        parser.add_argument("rest", nargs="*")
        print(parser.parse_args())
        """,
    )
    same(bench, "train.py", "-o", "here", "--every", "3", "-m", "--", "-x", "--", "y")
    assert "usage: train.py" in same(bench, "train.py", "--help").stdout
    assert same(bench, "train.py", "--evry").status == 2
    separated = bench.record("train.py", "--", "--every", "4")
    assert "every=4" in separated.stdout
