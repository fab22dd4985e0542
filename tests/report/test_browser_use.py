"""The page as a person uses it: mouse, keyboard, links, other means of reading. One page is opened for many questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bnprobe.report.comparison_page import render_comparison
from bnprobe.report.limits_page import render_limits
from bnprobe.report.page import render
from tests.comparison_trials import comparison
from tests.report.browsing import LACKING, SKIPS, chromium, draw_all, wait_for, wait_until_drawn
from tests.report.test_limits_page import limits
from tests.synthetic_runs import exploding_recording, residual_recording

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.skipif(SKIPS, reason=LACKING)]

#: Rules of axe-core whose breach is called serious or critical must hold everywhere.
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    one, other = (exploding_recording(blocks=1, steps=18).write(folder / f"{name}.h5") for name in ("first", "second"))
    healthy = residual_recording(blocks=1, steps=18).write(folder / "healthy.h5")
    return {
        "run": render([one]),
        "comparison": render([one, other, healthy]),
        "wide": render([wide_names(folder / f"wide{number}.h5") for number in range(4)]),
        "trials": render_limits(limits()),
        "techniques": render_comparison(comparison()),
    }


def wide_names(path: Path) -> Path:
    """A run whose layers have names as wide as names on an axis may be."""
    made = exploding_recording(blocks=1, steps=6)
    wide = {layer["layer"]: f"{number:02}" + "Ｗ" * 22 for number, layer in enumerate(made.layers)}
    for layer in made.layers:
        layer["layer"] = wide[layer["layer"]]
    for parameter in made.parameters:
        parameter["parameter_layer"] = wide[parameter["parameter_layer"]]
    return made.write(path)


@pytest.fixture(scope="module")
def opened(browser: Any, texts: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    folder = tmp_path_factory.mktemp("pages")
    contexts = []

    def show(name: str, fragment: str = "", **settings: Any) -> Any:
        path = folder / f"{name}.html"
        path.write_text(texts[name], encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": settings.pop("width", 1400), "height": 1000}, **settings))
        page = contexts[-1].new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri() + fragment, wait_until="commit")
        draw_all(page)
        return page

    yield show
    for context in contexts:
        context.close()


@pytest.mark.parametrize(
    ("name", "scheme"), [("run", "light"), ("run", "dark"), ("comparison", "light"), ("trials", "dark"), ("techniques", "light")]
)
def test_axe_finds_nothing_serious_and_nothing_is_asked_or_said(opened: Callable[..., Any], name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(name, color_scheme=scheme)
    assert page.said == []
    assert [address for address in page.asked if not address.startswith(("file:", "data:", "blob:"))] == []
    page.evaluate("document.querySelectorAll('.plot').forEach((plot) => plot.replaceChildren())")  # their drawing is plotly's
    for folded in page.query_selector_all("summary"):
        folded.click()
    found = axe.run(page).response["violations"]
    grave = [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in GRAVE]
    assert grave == []
    if name == "trials":
        page.evaluate("document.querySelector('main').append(document.createElement('img'))")
        assert "image-alt" in [one["id"] for one in axe.run(page).response["violations"]], "the test must notice what axe finds"


@pytest.mark.parametrize("name", ["comparison", "trials"])
def test_a_narrow_window_is_not_left_sideways(opened: Callable[..., Any], name: str) -> None:
    page = opened(name, width=700)
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


def step_of(page: Any) -> str:
    return str(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('step')"))


def cursors(page: Any) -> list[float]:
    """Where the line stands in each figure over steps, as a step."""
    return list(
        page.evaluate("""() => Array.from(document.querySelectorAll(".plot .cursor:not([hidden])"), (line) => {
            const { xaxis } = line.closest(".plot")._fullLayout;
            return Math.round(xaxis.p2l(parseFloat(line.style.left) - xaxis._offset));
        })""")
    )


def test_keys_move_one_step_that_all_figures_share(opened: Callable[..., Any]) -> None:
    page = opened("comparison", "#step=7")
    assert set(cursors(page)) == {7} and len(cursors(page)) > 6
    page.focus(".slider input")
    page.keyboard.press("ArrowRight")
    wait_for(page, "new URLSearchParams(location.hash.slice(1)).get('step') === '8'")
    page.wait_for_timeout(100)
    assert set(cursors(page)) == {8}
    assert [one.text_content() for one in page.query_selector_all(".slider output")] == ["8", "8", "8"]


def test_the_step_is_marked_over_what_has_an_axis_of_steps_and_no_further(opened: Callable[..., Any]) -> None:
    page = opened("run", "#step=7")
    page.evaluate("""() => {
        const plot = document.createElement("div");
        document.body.append(plot);
        const below = { xaxis2: { anchor: "y2" }, yaxis2: { domain: [0, 0.4] } };
        const both = { height: 400, xaxis: { anchor: "y" }, yaxis: { domain: [0.6, 1] }, ...below };
        return Plotly.newPlot(plot, [{ y: [1, 2, 3] }, { y: [1, 2, 3], xaxis: "x2", yaxis: "y2" }], both).then(() => {
            stepCursor.place(plot, [""], 1);
            const { yaxis } = plot._fullLayout;
            const { style } = plot.querySelector(".cursor");
            const off = [parseFloat(style.top) - yaxis._offset, parseFloat(style.height) - yaxis._length];
            document.body.dataset.marked = off.every((pixels) => Math.abs(pixels) < 1);
        });
    }""")
    assert page.evaluate("document.body.dataset.marked") == "true"
    loss = page.evaluate("""() => {
        const plot = document.getElementById("loss-0");
        return [parseFloat(plot.querySelector(".cursor").style.height), plot._fullLayout.yaxis._length + plot._fullLayout.yaxis2._length];
    }""")
    assert loss[0] > loss[1], "the loss and the rate share their steps"
    after = "document.querySelector('#loss-0 .cursor').nextElementSibling"
    layers = "Array.from(document.querySelectorAll('#loss-0 .main-svg'))"
    assert page.evaluate(f"{after} === {layers}.at(-1)"), "what plotly says under the pointer is not struck through"


def test_a_layer_opens_by_keyboard_and_by_its_name_in_the_verdict_and_closes(opened: Callable[..., Any]) -> None:
    page = opened("run")
    name = page.query_selector("#verdict button.layer")
    name.focus()
    page.keyboard.press("Enter")
    panel = page.query_selector("#layer-panel")
    assert panel.is_visible()
    assert panel.query_selector("h2").text_content() == name.text_content()
    assert page.evaluate("document.querySelector('#layer-panel .chart .main-svg').clientWidth") > 1000
    panel.query_selector(".to-channels").click()
    assert page.evaluate("document.getElementById('channel-layer').selectedOptions[0].textContent") == name.text_content()
    page.keyboard.press("Escape")
    assert not panel.is_visible()


def test_a_link_holds_step_layer_and_zoom(opened: Callable[..., Any]) -> None:
    page = opened("run")
    page.query_selector("#verdict button.layer").click()
    page.evaluate("Plotly.relayout('map-common-mode-0', { 'xaxis.range[0]': 3, 'xaxis.range[1]': 9 })")
    wait_for(page, "location.hash.includes('zoom')")
    link = page.evaluate("location.hash")
    assert "zoom=3%2C9" in link and "layer=" in link and "step=" in link
    again = opened("run", link)
    for figure in ("loss-0", "map-dead-share-0"):
        assert again.evaluate(f"document.getElementById('{figure}').layout.xaxis.range") == [3, 9]
    assert again.evaluate("location.hash") == link
    again.evaluate("Plotly.relayout('loss-0', { 'xaxis.range[0]': -0.5, 'xaxis.range[1]': 17.5 })")
    wait_for(again, "!location.hash.includes('zoom')")


def test_several_runs_share_an_axis_and_a_first_screen(opened: Callable[..., Any]) -> None:
    page = opened("comparison")
    traces = page.evaluate("document.getElementById('loss-all').data.map(({ name }) => name)")
    assert traces == ["first", "second", "healthy", "diverged"]
    box = page.query_selector("#loss-all").bounding_box()
    assert box["y"] + box["height"] < 1000
    assert page.evaluate("document.querySelectorAll('[id^=difference-]').length") == 8
    page.evaluate("Plotly.relayout('loss-all', { 'xaxis.range[0]': 2, 'xaxis.range[1]': 8 })")
    wait_for(page, "document.getElementById('map-dead-share-2').layout.xaxis.range[1] === 8")


def test_a_cell_names_the_step_of_its_value(opened: Callable[..., Any], browser: Any, tmp_path: Path) -> None:
    """More steps than columns: the one step of another size is found under its own number."""
    del opened
    made = exploding_recording(blocks=1, steps=18)
    made.activation.rms[11, 2] = 4321.0
    made.layers[3]["layer"] = made.layers[2]["layer"]  # as a merged run may have it
    path = made.write(tmp_path / "run.h5")
    import bnprobe.report.figures.heatmap as heatmap

    most = heatmap.MOST_CELLS
    heatmap.MOST_CELLS = 5 * len(made.layers)
    try:
        (tmp_path / "page.html").write_text(render([path]), encoding="utf-8")
    finally:
        heatmap.MOST_CELLS = most
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri(), wait_until="commit")
    draw_all(page)
    shown = page.evaluate("""() => {
        const { z, text } = document.getElementById("map-activation-rms-0").data[0];
        return 10 ** z[2][Array.from(text[2]).indexOf(11)];
    }""")
    assert shown == pytest.approx(4321, rel=1e-3)
    largest = []
    for layer in (2, 3):
        page.evaluate(f"""document.querySelector('tr[data-layer="{layer}"] button.layer').click()""")
        largest.append(page.evaluate("Math.max(...document.querySelector('#layer-panel .chart').data[0].y)"))
        assert ("place=4" in page.evaluate("location.hash")) == (layer == 3)
    assert largest[0] == pytest.approx(4321, rel=1e-3) and largest[1] < 1000
    page.close()


def test_a_figure_is_drawn_when_it_comes_into_view_with_the_zoom_and_the_step_of_the_page(
    browser: Any, tmp_path: Path, texts: dict[str, str]
) -> None:
    (tmp_path / "page.html").write_text(texts["run"], encoding="utf-8")
    page = browser.new_page(viewport={"width": 1400, "height": 700})
    page.goto((tmp_path / "page.html").as_uri() + "#step=3&zoom=2,9", wait_until="commit")
    wait_until_drawn(page)
    below = ("map-common-mode-0", "profile-activation-0")
    is_drawn = "Array.from(document.querySelectorAll('.plot')).filter((plot) => plot.querySelector('.plot-container')).map(({ id }) => id)"
    assert not set(below) & set(page.evaluate(is_drawn)) and "loss-0" in page.evaluate(is_drawn)
    for figure in below:
        page.query_selector(f"#{figure}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{figure} .plot-container")
    assert page.evaluate("document.getElementById('map-common-mode-0').layout.xaxis.range") == [2, 9]
    drawn_at_3 = page.evaluate("document.getElementById('profile-activation-0').data.map(({ y }) => Array.from(y))")
    page.goto("about:blank")
    page.goto((tmp_path / "page.html").as_uri(), wait_until="commit")
    draw_all(page)
    profiles = "document.getElementById('profile-activation-0').data.map(({ y }) => Array.from(y))"
    assert page.evaluate(profiles) != drawn_at_3
    page.evaluate("const input = document.querySelector('.slider input'); input.value = 3; input.dispatchEvent(new Event('input'))")
    page.query_selector("#profile-activation-0").scroll_into_view_if_needed()
    wait_for(page, f"(at) => JSON.stringify({profiles}) === JSON.stringify(at)", arg=drawn_at_3)
    page.close()


def test_paper_shows_what_was_never_in_view(browser: Any, tmp_path: Path, texts: dict[str, str]) -> None:
    (tmp_path / "page.html").write_text(texts["comparison"], encoding="utf-8")
    page = browser.new_page(viewport={"width": 1400, "height": 700})
    page.goto((tmp_path / "page.html").as_uri(), wait_until="commit")
    wait_until_drawn(page)
    count = "Array.from(document.querySelectorAll('.plot')).filter((one) => one.offsetParent && !one.querySelector('svg')).length"
    assert page.evaluate(count) > 0
    assert page.evaluate(f"window.dispatchEvent(new Event('beforeprint')); {count}") == 0  # the printer does not wait
    page.close()


def test_the_axis_of_a_loss_follows_a_zoom_and_comes_back(opened: Callable[..., Any]) -> None:
    page = opened("comparison")
    heights = "['loss-0', 'loss-all'].map((id) => document.getElementById(id)._fullLayout.yaxis.range.map((end) => end.toFixed(3)).join())"
    whole = page.evaluate(heights)
    page.evaluate("Plotly.relayout('map-dead-share-2', { 'xaxis.range[0]': 0, 'xaxis.range[1]': 5 })")
    wait_for(page, f"(whole) => {heights}.every((range, place) => range !== whole[place])", arg=whole)
    losses = page.evaluate("document.getElementById('loss-0').calcdata[0].filter(({ x }) => x <= 5).map(({ y }) => y)")
    low, high = page.evaluate("document.getElementById('loss-0')._fullLayout.yaxis.range.map((end) => 10 ** end)")
    assert low <= min(losses) and max(losses) <= high < 10 * max(losses)
    assert page.evaluate("document.querySelectorAll('#loss-0 .ytick text').length") > 1
    page.evaluate("Plotly.relayout('map-dead-share-2', { 'xaxis.range[0]': -0.5, 'xaxis.range[1]': 17.5 })")
    wait_for(page, f"(whole) => {heights}.every((range, place) => range === whole[place])", arg=whole)


def test_whoever_points_at_a_cell_reads_quantity_value_and_unit(opened: Callable[..., Any]) -> None:
    page = opened("run")
    field = page.query_selector("#map-activation-rms-0 .nsewdrag")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    for share in (0.2, 0.25):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
    said = "Array.from(document.querySelectorAll('#map-activation-rms-0 .hovertext .line'), (one) => one.textContent)"
    wait_for(page, f"{said}.length === 3")
    layer, step, value = page.evaluate(said)
    shown = page.evaluate(
        """([layer, step]) => {
            const { z, customdata, text } = document.getElementById("map-activation-rms-0").data[0];
            const row = customdata.findIndex((names) => names[0] === layer);
            return 10 ** z[row][Array.from(text[row]).indexOf(step)];
        }""",
        [layer, int(step.removeprefix("step "))],
    )
    assert value.startswith("Size of activations: ") and value.endswith(" (rms, as the signal)")
    assert float(value.split(": ")[1].split(" ")[0]) == pytest.approx(shown, rel=6e-3)
    written = page.evaluate("[24.7482, 24.9995, -5.5, -6.0001, 2, 4.99999999].map(packed.power)")
    assert written == ["5.6×10<sup>24</sup>", "1.0×10<sup>25</sup>", "3.2×10<sup>−6</sup>", "1.0×10<sup>−6</sup>", "100", "100000"]
    words = "document.getElementById('map-activation-rms-0').data[0].hovertext[0]"
    assert page.evaluate(
        f"[typeof {words}.slice, typeof {words}.at, {words}.length === document.getElementById('map-activation-rms-0').data[0].z[0].length]"
    ) == ["function", "function", True]


@pytest.mark.parametrize("width", [1280, 380])
def test_wide_names_leave_half_of_a_map(opened: Callable[..., Any], width: int) -> None:
    page = opened("wide", width=width)
    shares = """Array.from(document.querySelectorAll('.plot[id^=map-]'), ({ _fullLayout: { _size, width, margin } }) =>
        [_size.w, (width - margin.r) / 2 - 1])"""
    for window in (width, 520):
        page.set_viewport_size({"width": window, "height": 1000})
        wait_for(page, f"{shares}.every(([left, least]) => left >= Math.min(least, 64))")
        wait_for(page, f"{shares}.slice(0, 4).every(([left, least]) => left >= least)")
    names = page.evaluate("Array.from(document.querySelectorAll('#map-activation-rms-0 .ytick text'), (one) => one.textContent)")
    assert names and all("…" in name and name[:2].isdecimal() and name.endswith("Ｗ") for name in names)


def test_a_double_click_brings_back_both_axes_of_a_box(opened: Callable[..., Any]) -> None:
    page = opened("run")
    layout = "document.getElementById('loss-0')._fullLayout"
    ends = f"['xaxis', 'yaxis'].map((axis) => {layout}[axis].range.map((end) => end.toFixed(3)).join())"
    whole = page.evaluate(ends)
    field = page.query_selector("#loss-0 .nsewdrag[data-subplot='xy']")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    for share, act in ((0.3, page.mouse.down), (0.6, page.mouse.up)):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"], steps=8)
        act()
    wait_for(page, f"(whole) => {ends}.every((range, place) => range !== whole[place])", arg=whole)
    page.wait_for_timeout(500)  # or the next click is the second one of a double-click
    page.mouse.dblclick(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    wait_for(page, f"(whole) => {ends}.every((range, place) => range === whole[place])", arg=whole)


def test_behind_a_divergence_the_axis_of_a_loss_is_upright(opened: Callable[..., Any]) -> None:
    """The axis over all steps ends below what comes then."""
    page = opened("run")
    axis = "{ data: [{ x: [0, 1, 2, 3], y: [2, 1, 1e9, 1e12] }], scales: { yaxis: { type: 'log', range: [-1, 3] } } }"
    low, high = page.evaluate(f"ownScale.of({axis}, [2, 3]).yaxis.range")
    assert low < 9 and 12 < high
    low, high = page.evaluate(f"ownScale.of({axis}, [1, 3]).yaxis.range")
    assert low < 0 and high == 3


def test_a_logarithmic_axis_has_its_numbers_in_full_wherever_it_is_zoomed_or_moved(opened: Callable[..., Any]) -> None:
    page = opened("comparison")
    fitted = "ownScale.of({ data: [{ x: [0, 1], y: [0.2, 4] }], scales: { yaxis: { type: 'log', range: [-3, 3] } } }, [0, 1]).yaxis"
    assert page.evaluate(f"{fitted}.ticktext") == ["0.2", "0.5", "1", "2"]
    whole = page.evaluate("document.getElementById('loss-0').layout.yaxis.range.map(Number)")
    words = "Array.from(document.querySelectorAll('#loss-0 .ytick text'), (one) => one.textContent.replaceAll('\\u200b', ''))"
    before = page.evaluate(words)
    for low, high, shown in ((-0.9, 0.6, ["0.2", "0.5", "1", "2"]), (-9.0, -7.9, ["10−9", "2×10−9", "5×10−9", "10−8"])):
        page.evaluate(f"Plotly.relayout('loss-0', {{ 'yaxis.range[0]': {low}, 'yaxis.range[1]': {high} }})")
        wait_for(page, f"(shown) => String({words}) === String(shown)", arg=shown)
    page.evaluate(f"Plotly.relayout('loss-0', {{ 'yaxis.range[0]': {whole[0]}, 'yaxis.range[1]': {whole[1]} }})")
    wait_for(page, f"(before) => String({words}) === String(before)", arg=before)
    assert page.said == []


def test_a_zoom_in_the_panel_of_a_layer_is_its_own(opened: Callable[..., Any]) -> None:
    page = opened("run")
    page.query_selector("#verdict button.layer").click()
    chart = "document.querySelector('#layer-panel .chart')"
    wait_for(page, f"{chart}.data?.length > 0")
    ends = """() => {
        const fields = Object.entries(document.querySelector("#layer-panel .chart").layout).filter(([name]) => /^xaxis[0-9]/.test(name));
        const maps = Array.from(document.querySelectorAll(".plot[id^=map-]"), ({ layout }) => layout.xaxis.range);
        return JSON.stringify([maps, fields.map(([, { range }]) => range)]);
    }"""
    before = page.evaluate(ends)
    page.evaluate(f"Plotly.relayout({chart}, {{ 'xaxis.range[0]': 3, 'xaxis.range[1]': 9 }})")
    assert page.evaluate(f"{chart}.layout.xaxis.range") == [3, 9]
    assert page.evaluate(ends) == before


def test_a_browser_that_does_not_say_what_is_in_view_draws_all(browser: Any, tmp_path: Path, texts: dict[str, str]) -> None:
    (tmp_path / "page.html").write_text(texts["run"], encoding="utf-8")
    page = browser.new_page(viewport={"width": 1400, "height": 700})
    page.add_init_script("delete window.IntersectionObserver")
    page.goto((tmp_path / "page.html").as_uri(), wait_until="commit")
    drawn = wait_until_drawn(page)
    visible = "Array.from(document.querySelectorAll('.plot')).filter((one) => one.offsetParent)"
    assert drawn == page.evaluate(f"{visible}.length") > 6
    page.evaluate("""() => {
        const choice = document.getElementById("channel-layer");
        choice.selectedIndex = 1;
        choice.dispatchEvent(new Event("change"));
    }""")
    wait_for(page, f"{visible}.every((one) => one.querySelector('.plot-container'))")
    page.close()


def test_the_panel_of_a_layer_holds_the_histogram_of_its_channels_at_the_step(opened: Callable[..., Any]) -> None:
    page = opened("run", "#step=0")
    convolution = next(i for i, layer in enumerate(exploding_recording(blocks=1).layers) if layer["layer_kind"] == "convolution")
    page.evaluate(f"""document.querySelector("tr[data-layer='{convolution}'] button.layer").click()""")
    chart = "document.querySelector('#layer-panel .chart')"
    wait_for(page, f"{chart}.data?.some(({{ type }}) => type === 'bar')")
    bars = f"{chart}.data.filter(({{ type }}) => type === 'bar').map(({{ y }}) => y.reduce((sum, one) => sum + one, 0))"
    titles = f"{chart}.layout.annotations.map(({{ text }}) => text).find((text) => text.startsWith('Channels'))"
    first, total = page.evaluate(titles), page.evaluate(bars)
    assert "at step 0<" in first and len(total) == 2 and total[0] == total[1] > 0
    lines = f"Array.from({chart}.querySelectorAll('.cursor'), (line) => parseFloat(line.style.left))"
    before = page.evaluate(lines)
    assert len(before) == 6  # the fields over steps
    page.focus(".slider input")
    page.keyboard.press("End")
    wait_for(page, f"{titles} !== {first!r}")
    wait_for(page, f"(before) => {lines}.every((left, place) => left > before[place])", arg=before)
    facts = page.query_selector("#layer-panel .facts").text_content()
    assert "record --figures tails" in facts and "its kernel was not measured" in facts
