"""Notebooks: the cells of one give what the same lines in a script give, and what cannot be run says which cell it is."""

from __future__ import annotations

import json
import sys

import pytest

from bnprobe.errors import UsageError
from bnprobe.launch import notebook

TRAINING = (
    """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
""",
    """
for step in range(4):
    loss = model(torch.randn(8, 3)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    """
import sys
print(__name__, "__file__" in globals(), sys.argv, loss.item().hex())
""",
)


def notebook_of(*cells: str, language: str = "python") -> str:
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "%not a magic"]}
    code = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell.splitlines(True)} for cell in cells
    ]
    metadata = {"kernelspec": {"name": "kernel", "language": language}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": [text, *code]})


def test_cells_share_their_names_and_arguments_reach_them(bench) -> None:
    bench.write("train.ipynb", notebook_of("import sys\nx = 1", "", "print(x + 1, __name__, '__file__' in globals(), sys.argv)"))
    ran = bench.record("train.ipynb", "--lr", "0.1")
    assert ran.stdout == "2 __main__ False ['train.ipynb', '--lr', '0.1']\n"
    assert ran.status == 0


def test_a_traceback_names_the_cell(bench) -> None:
    bench.write("train.ipynb", notebook_of("def half(x):\n    return x / 0", "", "half(1)"))
    ran = bench.record("train.ipynb")
    assert ran.status == 1
    assert 'File "train.ipynb cell 3", line 1' in ran.stderr
    assert "    return x / 0" in ran.stderr
    assert "bnprobe/launch" not in ran.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "not a notebook"),
        ("{}", "not a notebook"),
        ('{"cells": [{"cell_type": "code", "source": 3}]}', "not a notebook"),
        (notebook_of(), "has no code"),
        (notebook_of("x <- 1", language="R"), "a notebook in R"),
    ],
)
def test_what_is_no_notebook_is_told(tmp_path, text: str, words: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        notebook.check(str(path))


def test_a_magic_without_ipython_is_told_before_anything_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.core.inputtransformer2", None)
    path = tmp_path / "x.ipynb"
    path.write_text(notebook_of("x = 7\nprint(x\n  % 3)"))
    notebook.check(str(path))  # a line that begins with % and is Python's
    path.write_text(notebook_of("x = 1", "x = 2\n%matplotlib inline"))
    with pytest.raises(UsageError, match=r"cell 2 of .* has a line for IPython: %matplotlib inline"):
        notebook.check(str(path))


@pytest.mark.slow
def test_magics_run_and_keep_no_history(bench) -> None:
    pytest.importorskip("IPython")
    bench.write(
        "train.ipynb", notebook_of("%env STAGE=one\nx = 2", "import os\nlines = !echo $STAGE\nprint(lines, os.environ['STAGE'], x)")
    )
    ran = bench.record("train.ipynb", IPYTHONDIR=str(bench.folder / "ipython"))
    assert ran.stdout.splitlines()[-1] == "['one'] one 2"
    assert not list(bench.folder.rglob("history.sqlite"))


@pytest.mark.slow
def test_a_training_in_cells_is_that_of_the_script(tmp_path) -> None:
    import subprocess

    from bnprobe.store.reader import read_run

    (tmp_path / "train.py").write_text("".join(TRAINING))
    (tmp_path / "train.ipynb").write_text(notebook_of(*TRAINING))
    plain = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", "run.h5", "train.ipynb"]
    recorded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert recorded.stdout.split()[-1] == plain.stdout.split()[-1]
    assert read_run(tmp_path / "run.h5").steps == 4
