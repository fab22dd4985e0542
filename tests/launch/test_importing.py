from __future__ import annotations

import importlib
import inspect
import sys

import pytest

from bnprobe.launch.importing import AfterImport


@pytest.fixture
def trigger(tmp_path, monkeypatch):
    """A trigger for the module ``latecomer``, and the list it writes to."""
    (tmp_path / "latecomer.py").write_text("import os\nvalue = 1\nif os.environ.get('LATECOMER_FAILS'): raise ImportError\n")
    monkeypatch.syspath_prepend(tmp_path)
    calls = []
    after = AfterImport("latecomer", lambda: calls.append(sys.modules["latecomer"].value))
    after.arm()
    yield after, calls
    after.disarm()
    sys.modules.pop("latecomer", None)


def test_acts_once_after_the_body_has_run(trigger):
    after, calls = trigger
    assert calls == []
    import latecomer

    assert calls == [1]
    assert after not in sys.meta_path
    importlib.reload(latecomer)
    assert calls == [1]


def test_looking_for_the_module_is_not_importing_it(trigger):
    _, calls = trigger
    assert importlib.util.find_spec("latecomer") is not None
    assert calls == []
    importlib.import_module("latecomer")
    assert calls == [1]


def test_failed_import_may_be_tried_again(trigger, monkeypatch):
    _, calls = trigger
    monkeypatch.setenv("LATECOMER_FAILS", "1")
    with pytest.raises(ImportError):
        importlib.import_module("latecomer")
    assert calls == []
    monkeypatch.delenv("LATECOMER_FAILS")
    importlib.import_module("latecomer")
    assert calls == [1]


def test_module_looks_untouched(trigger):
    module = importlib.import_module("latecomer")
    assert inspect.getsourcefile(module) == module.__file__
    assert "exec_module" not in vars(module.__spec__.loader)


def test_two_that_wait_for_one_module_each_act_once(trigger):
    after, calls = trigger
    later = AfterImport("latecomer", lambda: calls.append("later"))
    later.arm()
    assert importlib.util.find_spec("latecomer") is not None
    module = importlib.import_module("latecomer")
    assert calls == [1, "later"]
    assert after not in sys.meta_path and later not in sys.meta_path
    assert "exec_module" not in vars(module.__spec__.loader)


def test_a_loader_that_its_finder_keeps_acts_once(trigger, tmp_path, monkeypatch):
    _, calls = trigger
    loader = importlib.util.find_spec("json").loader.__class__("latecomer", str(tmp_path / "latecomer.py"))

    class Finder:
        @staticmethod
        def find_spec(fullname, path, target=None):
            return importlib.util.spec_from_loader(fullname, loader) if fullname == "latecomer" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path[:1], Finder, *sys.meta_path[1:]])
    assert importlib.util.find_spec("latecomer") is not None
    importlib.import_module("latecomer")
    assert calls == [1]
    assert "exec_module" not in vars(loader)


def test_acts_at_once_if_the_module_is_there():
    calls = []
    after = AfterImport("json", lambda: calls.append("json"))
    import json  # noqa: F401

    after.arm()
    assert calls == ["json"]
    assert after not in sys.meta_path


def test_missing_module_is_still_missing():
    after = AfterImport("no_such_module_anywhere", lambda: None)
    after.arm()
    try:
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
            importlib.import_module("no_such_module_anywhere")
    finally:
        after.disarm()


def test_environment_set_before_the_import_is_honoured(bench):
    bench.write(
        "train.py",
        """
        import os
        os.environ["OMP_NUM_THREADS"] = "3"
        import torch
        print(torch.threads_seen_at_import)
        """,
    )
    assert bench.record("train.py").stdout == "3\n"


def test_submodule_imports_count(bench):
    bench.write("train.py", "import torch.nn\nimport torch\ntorch.step()")
    bench.write("torch/__init__.py", "observers = []\ndef step():\n    [o() for o in observers]")
    bench.write("torch/nn.py", "")
    assert bench.record("train.py").events[-1]["steps"] == 1


def test_script_that_does_without_torch(bench):
    bench.write("train.py", "try:\n    import torch_missing\nexcept ImportError:\n    print('no torch')\nraise SystemExit(3)")
    result = bench.record("train.py", options=())
    assert (result.status, result.stdout) == (3, "no torch\n")
    assert "the script never imported torch; nothing was recorded" in result.stderr
    assert not bench.output.exists()
    assert sorted(path.name for path in bench.folder.iterdir()) == ["train.py"]
