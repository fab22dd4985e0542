"""What the documentation says about the code is read off the code.

``BNPROBE_WRITE_DOCS=1 pytest tests/test_docs.py`` writes the generated pages anew.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from bnprobe.diagnose.verdict import CAUSES
from bnprobe.experiments.counterfactuals import TESTS, counterfactual
from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import Moments, moments
from bnprobe.observe.instruments.instrument import Instrument, Surroundings
from bnprobe.observe.instruments.kurtosis import Kurtosis
from bnprobe.store import comparison_schema, limits_schema
from bnprobe.store.schema import DIMENSIONS, VARIABLES, Variable
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY

ROOT = Path(__file__).parents[1]


RUN_FILE = [
    "# The run file",
    "",
    "One HDF5 file per run (and rank), readable by every HDF5 tool;",
    '`xarray.open_dataset(run, engine="h5netcdf")` opens it with named coordinates. A value that was not observed is NaN (or -1 in',
    "an integer), never 0. A signal with a non-finite value has infinite energies. Channels of all layers are stored end to end along",
    "`channel`, with `channel_layer` as the index. This page is generated from `bnprobe/store/schema/`.",
]
LIMITS_FILE = [
    "# The file of learning-rate trials",
    "",
    "What `bnprobe lr-limit` writes: one HDF5 file, replaced as a whole after every trial, that opens in xarray like a run file. A",
    "value that was not observed is NaN (or -1 in an integer). The losses of all trials are stored end to end along `sample`, with",
    "`sample_trial` as the index. Root attributes say what was tried: `argv`, `cwd`, `steps`, `seeds`, `remedies`, `rates`,",
    "`script_digest` (SHA-256), `status`. This page is generated from `bnprobe/store/limits_schema.py`.",
]


COMPARISON_FILE = [
    "# The file of compared techniques",
    "",
    "What `bnprobe compare` writes: one HDF5 file of the same family as [that of learning-rate trials](limits_file.md), replaced as a",
    "whole after every training, that opens in xarray. A value that is not known is NaN (or -1 in an integer). Losses of all trainings are",
    "stored end to end along `sample`, evaluations along `evaluation`. Root attributes say what was tried: `argv`, `cwd`, `techniques`,",
    "`seeds`, `steps` (-1: the script's own end), `search_steps`, `metric`, `script_digest` (SHA-256), `executor`, `status`. This page is",
    "generated from `bnprobe/store/comparison_schema.py`.",
]


def schema_page(introduction: list[str], dimensions: dict[str, str], variables: dict[str, Variable]) -> str:
    lines = [
        *introduction,
        "",
        "| axis | meaning |",
        "|---|---|",
        *[f"| `{name}` | {meaning} |" for name, meaning in dimensions.items()],
        "",
        "| variable | axes | type | unit | meaning | formula |",
        "|---|---|---|---|---|---|",
    ]
    for variable in variables.values():
        axes = ", ".join(variable.dims)
        formula = f"`{variable.formula}`" if variable.formula else ""
        lines.append(f"| `{variable.name}` | {axes} | {variable.dtype} | {variable.units} | {variable.long_name} | {formula} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run_file.md", schema_page(RUN_FILE, DIMENSIONS, VARIABLES)),
        ("limits_file.md", schema_page(LIMITS_FILE, limits_schema.DIMENSIONS, limits_schema.VARIABLES)),
        ("comparison_file.md", schema_page(COMPARISON_FILE, comparison_schema.DIMENSIONS, comparison_schema.VARIABLES)),
    ],
)
def test_a_schema_page_is_the_schema(name: str, expected: str) -> None:
    page = ROOT / "docs" / name
    if os.environ.get("BNPROBE_WRITE_DOCS"):
        page.write_text(expected, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == expected


def trials_table() -> str:
    """Which trials test which cause, and what each does."""
    tested = "".join(f"| `{cause}` | {', then '.join(f'`{name}`' for name in names) or '–'} |\n" for cause, names in TESTS.items())
    known = dict.fromkeys(part for names in TESTS.values() for name in names for part in name.split(" + "))
    done = "".join(f"| `{name}` | {counterfactual(name).summary} |\n" for name in known)
    return f"\n| cause | trials |\n|---|---|\n{tested}\n| trial | what is done |\n|---|---|\n{done}\n"


def test_the_page_of_trials_lists_them() -> None:
    page = ROOT / "docs" / "confirm.md"
    text = page.read_text(encoding="utf-8")
    expected = re.sub(r"(<!-- trials -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}{trials_table()}{found[2]}", text, flags=re.DOTALL)
    if os.environ.get("BNPROBE_WRITE_DOCS"):
        page.write_text(expected, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == expected


def test_links_lead_somewhere() -> None:
    for page in (*sorted(ROOT.glob("*.md")), ROOT / "sample_runs" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_what_the_architecture_names_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "bnprobe"
    rooms = (
        ROOT,
        package,
        package / "observe",
        package / "observe" / "probes",
        package / "observe" / "instruments",
        package / "diagnose",
        package / "what_if",
    )
    for name in re.findall(r"`([a-z_/]+(?:\.py|\.c|/))`", page):
        assert any((room / name).exists() for room in (*rooms, package / "measure")), f"the architecture names {name}, which is not there"
    table = set(re.findall(r"^\| `([a-z_]+)/` \| .* \| .* \|$", page, re.MULTILINE))
    assert table == {path.name for path in package.iterdir() if (path / "__init__.py").exists()}


def test_the_example_of_limits_from_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "learning_rate_limits.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "learning_rate_limits.md", "exec"), names)
    assert len(capsys.readouterr().out.splitlines()) == 2
    curvature, line, rate = names["curvature"], names["line"], names["rate"]
    # A first step goes down the gradient, along which the loss is curved by at most the sharpness: a quadratic rises past 2 over it.
    assert 2 / curvature.value < line.critical[1] * rate
    assert 0 < line.critical[0] < line.critical[1] <= 2 * line.critical[0]


CAUSE_PAGES = ROOT / "docs" / "causes"
HEADINGS = ("What it looks like", "Why it happens", "How bnprobe tells", "What to do", "What else it could be")


def test_every_cause_has_a_page() -> None:
    pages = {page.stem for page in CAUSE_PAGES.glob("*.md")} - {"README"}
    assert pages == set(CAUSES)
    assert pages == {program.cause for program in PROGRAMS} - {HEALTHY}
    index = (CAUSE_PAGES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([a-z-]+)\.md\)", index)) == pages


def test_every_verdict_without_a_cause_is_listed() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bnprobe" / "diagnose").glob("*.py"))
    verdicts = {name for line in re.findall(r'^ +id=("[a-z-]+".*),$', code, re.MULTILINE) for name in re.findall(r'"([a-z-]+)"', line)}
    _, _, last = (CAUSE_PAGES / "README.md").read_text(encoding="utf-8").partition("## Verdicts without a cause")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", last, re.MULTILINE)) == verdicts - set(CAUSES)


@pytest.mark.parametrize("page", sorted(CAUSE_PAGES.glob("*-*.md")), ids=lambda page: page.stem)
def test_a_page_answers_the_questions_of_who_has_the_cause(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == HEADINGS
    [program] = re.findall(r"<!-- example: (\w+) -->", text)
    assert next(one for one in PROGRAMS if one.name == program).cause == page.stem
    shown = re.search(r"^(?:error|warning|info): ([a-z-]+)", text, re.MULTILINE)
    assert shown is not None and shown[1] == page.stem, "the example's first finding is the cause"
    assert f"tests/faults/tuned/{program}.py" in text and (ROOT / "tests/faults/tuned" / f"{program}.py").exists()


def example(name: str) -> str:
    """The code block of CONTRIBUTING that shows a class."""
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [shown] = [block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if block.startswith(f"class {name}(")]
    return str(shown)


def test_the_example_of_a_quantity_gives_what_the_instrument_gives() -> None:
    names: dict[str, Any] = {"np": np, "Mapping": Mapping, "Moments": Moments, "Surroundings": Surroundings, "Instrument": Instrument}
    exec(compile(example("Kurtosis"), "CONTRIBUTING.md", "exec"), names)
    signals = [torch.randn(6, 5, 4), torch.zeros(3, 8), torch.ones(3, 1), torch.full((2, 3), torch.nan), torch.arange(12.0).reshape(3, 4)]
    layers = {}
    for place, signal in enumerate(signals):
        measured = moments(signal, CHANNELS_FIRST)
        host: Any = np.asarray(measured.packed, dtype=np.float64)
        layers[place] = Moments(measured.samples, measured.positions, host)
    shown, shipped = (made(cast(Surroundings, None)).from_moments(layers) for made in (names["Kurtosis"], Kurtosis))
    assert {name: pytest.approx(values) for name, values in shown.items()} == shipped and shown["activation_kurtosis"].keys() == {0, 4}


def test_the_example_of_a_remedy_is_the_code() -> None:
    code = (ROOT / "bnprobe/remedies/clip_value.py").read_text(encoding="utf-8")
    assert without_docstrings(example("ClipValue"), "ClipValue") == without_docstrings(code, "ClipValue"), "CONTRIBUTING shows older code"


def without_docstrings(source: str, name: str) -> str:
    """The class of that name as it would be executed."""
    [found] = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name]
    for node in ast.walk(found):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.unparse(found)
