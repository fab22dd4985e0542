from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bnprobe.errors import RunFileError, UsageError
from bnprobe.report.page import render, write_page
from bnprobe.report.plotly_bundle import plotly_js
from bnprobe.store.reader import read_run
from tests.suites import shortened, shortened_to
from tests.synthetic_runs import BUILDERS, HOSTILE_NAMES, LineProbe, Recording, exploding_recording, residual_recording

RunFile = Callable[[str], Path]
VOID = {"meta", "link", "input", "br", "img", "wbr", "hr", "rect", "path"}


class Outline(HTMLParser):
    """What a browser would make of the page: its elements with their attributes, and the text of each script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "style":
            self.styles.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"
        if tag not in ("b", "code", "span", "a"):  # a block ends a word
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.open[-1:] == ["style"]:
            self.styles[-1] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    @property
    def figures(self) -> dict:
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "figures"))

    @property
    def policy(self) -> dict[str, str]:
        content = next(attrs["content"] for tag, attrs in self.elements if attrs.get("http-equiv") == "Content-Security-Policy")
        return dict(rule.split(" ", 1) for rule in content.split("; "))


@pytest.fixture(scope="module")
def outline(run_file: RunFile) -> Callable[..., Outline]:
    known: dict[tuple[str, ...], Outline] = {}

    def read(*names: str) -> Outline:
        if names not in known:
            known[names] = Outline(render([run_file(name) for name in names]))
        return known[names]

    return read


# -- what the page shows ----------------------------------------------------------------------------------------------

PARTS = [
    "Diverged at step 15: the loss passed 1000 times its first value",
    "What happened",
    "When",
    "Where first",
    "Evidence Value Threshold Step",
    "What to try",
    "Loss and learning rate",
    "Layers over steps",
    "Size of activations",
    "Size of activation gradients",
    "Update ratio",
    "Dead channels",
    "Common-mode fraction of activations",
    "Along depth, at one step",
    "Activations along depth",
    "Activation gradients along depth",
    "Channels around the moment",
    "Those that deviated from their baseline stand first",
    "Findings",
    "What could not be observed",
    "dropout masks drawn inside a fused kernel 3",
    "How the run was made",
    "script train.py",
]


def test_a_page_says_everything_from_top_to_bottom(outline: Callable[..., Outline]) -> None:
    text = outline("exploding").text
    place = 0
    for part in PARTS:
        assert part in text[place:], f"{part!r} is missing, or stands above {text[place : place + 80]!r}"
        place = text.index(part, place)


def test_every_place_has_its_figure_and_every_figure_its_place(outline: Callable[..., Outline]) -> None:
    page = outline("exploding")
    places = [attrs["id"] for _, attrs in page.elements if attrs.get("class") == "plot"]
    assert sorted(places) == sorted(page.figures)
    assert len(places) == len(set(places)) > 10


def test_every_finding_stands_with_its_numbers_cause_fix_and_source(outline: Callable[..., Outline], analysed: Callable) -> None:
    text = outline("exploding").text
    assert any(finding.severity == "info" for finding in analysed("exploding").findings)
    for finding in analysed("exploding").findings:
        assert f"Source: {finding.source}" in text
        assert finding.fix.split("`")[0] in text
        for one in finding.evidence:
            assert one.what in text


def test_the_verdict_is_said_once(outline: Callable[..., Outline], analysed: Callable) -> None:
    first, second = (analysed(name).findings[0] for name in ("exploding", "healthy"))
    for text, findings in ((outline("exploding").text, [first]), (outline("exploding", "healthy").text, [first, second])):
        for finding in findings:
            words = re.sub(r"`[^`]*`", "", finding.fix).split(";")[0]  # up to what is set as code
            assert text.count(words) == 1, words
            opening = finding.cause.split(":")[0].replace("-", "−")
            assert text.replace("-", "−").count(opening) == 1, opening
    assert outline("exploding", "healthy").text.count("Diverged at step") == 1


def test_several_runs_stand_side_by_side_under_their_comparison(outline: Callable[..., Outline]) -> None:
    page = outline("exploding", "healthy")
    assert page.text.find("First to deviate") < page.text.find("What happened")
    ids = set(page.figures)
    assert {"loss-0", "loss-1", "map-common-mode-0", "map-common-mode-1", "profile-activation-1"} <= ids
    for quantity in ("activation-rms", "gradient-rms", "update-ratio"):
        scales = [(page.figures[f"map-{quantity}-{i}"]["data"][0][end]) for i in (0, 1) for end in ("zmin", "zmax")]
        assert scales[:2] == scales[2:]


def test_a_run_without_figures_leaves_no_hole_between_those_of_the_others(run_file: RunFile) -> None:
    page = render([run_file("exploding"), run_file("zero_steps"), run_file("exploding")])
    sections = {name: page.split(f'<section id="{name}">')[1].split("</section>")[0] for name in ("course", "maps", "depth", "channels")}
    grids = {name: re.findall(r'<div class="(grid[^"]*)"', text)[0] for name, text in sections.items()}
    assert grids == {"course": "grid of-2", "maps": "grid of-2 maps", "depth": "grid of-2 sliders", "channels": "grid of-2 channel-layer"}


@pytest.mark.slow
def test_differences_name_the_first_run_that_has_layers(tmp_path: Path) -> None:
    unseen, one, other = (residual_recording(steps=6, blocks=1) for _ in range(3))
    unseen.observed[:] = False
    page = Outline(render([made.write(tmp_path / f"{name}.h5") for name, made in (("unseen", unseen), ("one", one), ("other", other))]))
    assert "loss-0" in page.figures and "difference-activation-rms-2" in page.figures
    assert "Differences to one" in page.text and "larger than in one, blue" in page.text


def test_the_slider_knows_its_steps_and_figures(outline: Callable[..., Outline]) -> None:
    page = outline("exploding")
    slider = next(attrs for _, attrs in page.elements if attrs.get("class") == "slider")
    followers = slider["data-figures"].split()
    assert followers == ["profile-activation-0", "profile-activation-gradient-0"]
    for name in followers:
        assert page.figures[name]["course"]["steps"] == [int(step) for step in slider["data-steps"].split()]


@pytest.mark.slow
def test_remedies_are_compared_and_said_in_the_origin_of_their_run(tmp_path: Path, run_file: RunFile) -> None:
    made = residual_recording(steps=6)
    entry = {"specification": "msr:<b>", "what": "convolution kernels", "count": 2, "touched": ["conv1", "<i>"]}
    made.attributes["remedies"] = json.dumps([entry])
    page = Outline(render([made.write(tmp_path / "run.h5"), run_file("healthy")]))
    assert "Remedies msr:<b> –" in page.text
    assert "remedy msr:<b> on 2 convolution kernels: conv1, <i>" in page.text
    assert '"specification"' not in page.text
    assert not [tag for tag, _ in page.elements if tag == "i"]


def test_remedies_that_cannot_be_read_stand_as_they_are(tmp_path: Path) -> None:
    made = residual_recording(steps=6)
    made.attributes["remedies"] = "{nonsense"
    assert "remedies {nonsense" in Outline(render([made.write(tmp_path / "run.h5")])).text


SCRIPT = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Conv2d(2, 2, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(4):
    model(torch.randn(4, 1, 8, 8)).square().mean().backward()
    optimizer.step()
"""


@pytest.mark.slow
def test_a_recording_with_and_one_without_a_remedy_show_their_kernels_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    for name, options in (("msr", ["--remedy", "msr"]), ("bare", [])):
        command = [sys.executable, "-m", "bnprobe", "record", *options, "-o", f"{name}.h5", "train.py"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    page = Outline(render([tmp_path / "msr.h5", tmp_path / "bare.h5"]))
    assert "Remedies msr –" in page.text
    assert "remedy msr on 2 convolution kernels: 0, 2" in page.text
    lines = [page.figures[f"kernels-{i}"]["data"][0] for i in (0, 1)]
    assert lines[0]["name"] == lines[1]["name"] == "worst of all kernels but the first"
    kept, bare = (np.frombuffer(base64.b64decode(line["y"]["bdata"]), line["y"]["dtype"]) for line in lines)
    assert len(kept) == len(bare) == 3
    assert kept.max() < 1e-6 < 1e-2 < bare.min()
    for axis in ("yaxis", "yaxis2"):
        assert page.figures["kernels-0"]["layout"][axis]["range"] == page.figures["kernels-1"]["layout"][axis]["range"]


def test_a_run_whose_kernels_nobody_measured_has_no_panel_for_them(outline: Callable[..., Outline]) -> None:
    page = outline("exploding")
    assert not [name for name in page.figures if name.startswith("kernels-")]
    assert "#kernels" not in [attrs.get("href") for _, attrs in page.elements]


def with_line_probes(names: bool = False) -> Recording:
    """A run whose line probes have numbers, none, and every channel, told by a file that is not to be trusted where asked."""
    made = exploding_recording()
    name = HOSTILE_NAMES[0] if names else "msr"
    made.line_probes = [
        LineProbe(2, 0.1, (0.1, 0.125), (4.0, 8.0), points={0.0: 1.0, 0.1: 0.9, 0.125: 1.1, 1.0: 20.0, 8.0: np.inf}),
        LineProbe(2, 0.1, (1.0, 2.0), (64.0, np.inf), variant=name, points={0.0: 1.0, 1.0: 0.8, 2.0: 1.2}),
        LineProbe(9, 0.1, reason=HOSTILE_NAMES[0] if names else "the loss is nan"),
    ]
    return made


def test_limits_have_a_section_that_says_how_far_over_them_the_rate_was(tmp_path: Path) -> None:
    page = Outline(render([with_line_probes().write(tmp_path / "run.h5")]))
    assert (
        "was 8 to 10 times what the loss tolerated along the step taken; with msr's projection it would have been 0.5 to 1 times"
        in page.text
    )
    assert "No number from the line probe at step 9: the loss is nan." in page.text
    assert {"tolerance-0", "line-0"} <= set(page.figures)
    assert not [name for name in page.figures if name.startswith("channels-line-")]
    assert "#tolerance" in [attrs.get("href") for _, attrs in page.elements]


def test_channels_along_a_step_stand_with_those_of_the_snapshots(tmp_path: Path) -> None:
    made = with_line_probes()
    values = np.ones((5, sum(layer["channels"] for layer in made.layers)))
    made.line_probes[0].channels = (values, values)
    page = Outline(render([made.write(tmp_path / "run.h5")]))
    assert "while step 2 is applied" in page.text
    assert {"channels-line-0-mean-0", "channels-line-0-variance-0"} <= set(page.figures)
    places = [attrs["id"] for _, attrs in page.elements if attrs.get("class") == "plot"]
    assert sorted(places) == sorted(page.figures)


def test_names_in_line_probes_are_text(tmp_path: Path) -> None:
    page = Outline(render([with_line_probes(names=True).write(tmp_path / "run.h5")]))
    assert [tag for tag, _ in page.elements].count("script") == 4
    assert "<script" not in json.dumps(page.figures, ensure_ascii=False)
    assert f"line probe at step 9: {HOSTILE_NAMES[0]}" in page.text


@pytest.mark.slow
def test_a_page_of_line_probes_is_the_same_twice(tmp_path: Path) -> None:
    path = with_line_probes().write(tmp_path / "run.h5")
    assert render([path]) == render([path])


def test_a_run_without_limits_has_no_section_for_them(outline: Callable[..., Outline]) -> None:
    assert not [name for name in outline("exploding").figures if name.startswith("tolerance-")]
    assert "#tolerance" not in [attrs.get("href") for _, attrs in outline("exploding").elements]


def test_probes_of_the_curvature_have_a_section_that_says_how_to_read_them(tmp_path: Path) -> None:
    made = residual_recording(steps=6)
    made.probes = [{"curvature": step, "curvature_sharpness": 3.0, "curvature_residual": 0.1} for step in (0, 5)]
    page = Outline(render([made.write(tmp_path / "probed.h5"), residual_recording(steps=6).write(tmp_path / "bare.h5")]))
    assert [name for name in page.figures if name.startswith("curvature-")] == ["curvature-0"]
    assert "#curvature" in [attrs.get("href") for _, attrs in page.elements]
    assert "first-order bound" in page.text and "edge of stability" in page.text and "residuals" in page.text


def test_a_run_that_was_not_probed_has_no_section_for_it(outline: Callable[..., Outline]) -> None:
    page = outline("exploding")
    assert not [name for name in page.figures if name.startswith("curvature-")]
    assert "#curvature" not in [attrs.get("href") for _, attrs in page.elements]


@pytest.mark.parametrize("name", shortened_to(BUILDERS, {"healthy", "exploding", "hostile_names"}))
def test_every_kind_of_run_has_a_well_formed_page(outline: Callable[..., Outline], name: str) -> None:
    page = outline(name)
    assert page.open == []
    assert "How the run was made" in page.text
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), "who reads by headings would miss a level"


def test_a_run_without_steps_has_words_and_no_figures(outline: Callable[..., Outline]) -> None:
    page = outline("zero_steps")
    assert "Nothing was recorded" in page.text
    assert page.figures == {}


def test_a_killed_run_is_called_killed(outline: Callable[..., Outline]) -> None:
    assert "most likely killed" in outline("killed").text


@pytest.mark.parametrize(
    "prefix", shortened(["activation", "channel", "parameter", "loss", "learning_rate", "layers_observed", "activation_gradient"], 2)
)
def test_a_file_that_lacks_variables_still_has_a_page(tmp_path: Path, prefix: str) -> None:
    import h5py

    path = residual_recording(steps=6).write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        for name in [name for name in file if name.startswith(prefix)]:
            del file[name]
    assert "Verdict" in Outline(render([path])).text


def test_problems_of_the_file_are_told(tmp_path: Path) -> None:
    import h5py

    path = residual_recording(steps=6).write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        del file["activation_rms"]
        file["activation_rms"] = np.array(["text"], dtype=h5py.string_dtype())
    assert read_run(path).problems[0] in html.unescape(render([path]))


# -- names from the file ----------------------------------------------------------------------------------------------


def test_names_from_the_file_are_text_everywhere(outline: Callable[..., Outline]) -> None:
    page = outline("hostile_names")
    assert [tag for tag, _ in page.elements].count("script") == 4
    assert not [tag for tag, _ in page.elements if tag in ("img", "b", "iframe", "object", "embed", "form", "link")] or all(
        "alert" not in str(attrs) for _, attrs in page.elements
    )
    assert all(not name.startswith("on") for _, attrs in page.elements for name in attrs)
    for name in HOSTILE_NAMES[:4]:
        assert re.sub(r"\s+", " ", name) in page.text
    assert "<img src=x onerror=alert(2)>" in page.text
    assert "a" * 101 not in page.text and "a" * 60 in page.text
    assert "49" not in [option.strip() for option in page.words]


def test_names_in_figures_hold_no_markup(outline: Callable[..., Outline]) -> None:
    page = outline("hostile_names")
    raw = next(text for attributes, text in page.scripts if attributes.get("id") == "figures")
    assert "<" not in raw
    texts = json.dumps(page.figures, ensure_ascii=False)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in texts
    assert "<script" not in texts and "<img" not in texts


# -- offline, closed, the same ----------------------------------------------------------------------------------------


def test_the_policy_forbids_the_network(outline: Callable[..., Outline]) -> None:
    policy = outline("exploding").policy
    assert policy["default-src"] == "'none'"
    assert policy["base-uri"] == policy["form-action"] == "'none'"
    assert set(policy["img-src"].split()) == {"data:", "blob:"}
    for name in ("script-src", "style-src"):
        assert all(source.startswith("'sha256-") for source in policy[name].split())


def test_the_policy_allows_what_the_page_holds_and_nothing_else(outline: Callable[..., Outline]) -> None:
    page = outline("exploding")

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    programs = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    assert {hashed(text) for text in programs} == set(page.policy["script-src"].split())
    # plotly adds the style sheet of its maps by itself, as the page's console would tell
    sheets = [text for program in programs for text in re.findall(r"\.textContent='([^']*)'", program)]
    assert len(sheets) == 1
    assert {hashed(text) for text in [*page.styles, "", *sheets]} == set(page.policy["style-src"].split())


def test_the_policy_comes_before_anything_it_governs(run_file: RunFile) -> None:
    page = render([run_file("exploding")])
    assert page.index("Content-Security-Policy") < min(page.index("<style"), page.index("<script"), page.index("<title"))


def test_nothing_is_loaded_from_anywhere(outline: Callable[..., Outline]) -> None:
    page = outline("exploding")
    for tag, attributes in page.elements:
        assert tag != "link"
        for name in ("src", "href", "srcset", "action", "data", "poster", "background"):
            assert (attributes.get(name) or "#").startswith("#"), f"<{tag} {name}={attributes.get(name)}>"
    own = "".join(text for _, text in page.scripts if text != plotly_js()) + "".join(page.styles)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", own)


@pytest.mark.slow
def test_plotly_is_embedded_once_and_offers_no_upload(run_file: RunFile) -> None:
    page = render([run_file("exploding"), run_file("healthy")])
    assert page.count(plotly_js()) == 1
    script = page[page.rindex("<script>") :]
    assert "showSendToCloud: false" in script
    assert 'modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]]' in script


@pytest.mark.slow
def test_the_same_file_gives_the_same_bytes(run_file: RunFile, tmp_path: Path) -> None:
    pages = [tmp_path / "one.html", tmp_path / "other.html"]
    for page in pages:
        write_page([run_file("exploding"), run_file("healthy")], page)
    assert pages[0].read_bytes() == pages[1].read_bytes()


@pytest.mark.slow
def test_the_order_of_hashing_does_not_reach_the_page(run_file: RunFile, tmp_path: Path) -> None:
    code = "import sys, pathlib, bnprobe.report.page as page; page.write_page([pathlib.Path(sys.argv[1])], pathlib.Path(sys.argv[2]))"
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, str(run_file("exploding")), str(tmp_path / f"{seed}.html")],
            env={"PYTHONHASHSEED": seed},
            check=True,
        )
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_a_page_needs_no_torch(run_file: RunFile, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from bnprobe.report.page import write_page; from bnprobe.report.terminal import summary\n"
        "from bnprobe.store.reader import read_run\n"
        "write_page([Path(sys.argv[1])], Path(sys.argv[2])); print(summary(read_run(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, str(run_file("exploding")), str(tmp_path / "page.html")], check=True, capture_output=True)


def test_a_small_run_adds_little_to_the_library(run_file: RunFile) -> None:
    assert len(render([run_file("exploding")])) - len(plotly_js()) < 500_000


@pytest.mark.slow
def test_two_hundred_layers_and_many_steps_stay_small(tmp_path: Path) -> None:
    made = residual_recording(steps=6000, blocks=16)
    made.snapshots = made.snapshots[-10:]
    path = made.write(tmp_path / "run.h5")
    assert len(read_run(path).layers) > 190
    assert len(render([path])) - len(plotly_js()) < 5_000_000


# -- faults -----------------------------------------------------------------------------------------------------------


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=r"none\.h5"):
        write_page([tmp_path / "none.h5"], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_that_cannot_be_written_is_named(run_file: RunFile, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*page\.html"):
        write_page([run_file("zero_steps")], tmp_path / "missing" / "page.html")


def test_a_page_replaces_an_older_one_as_a_whole(run_file: RunFile, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("older")
    write_page([run_file("zero_steps")], page)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
