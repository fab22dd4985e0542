"""The page in a real browser: it draws itself, obeys its slider, and runs nothing that came with a name."""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bnprobe.report.analysed import analyse_runs
from bnprobe.report.layer_table import layer_lines
from bnprobe.report.page import render
from bnprobe.report.plotly_bundle import plotly_js
from bnprobe.store.reader import read_run
from tests.report.browsing import LACKING, SKIPS, chromium, draw_all, wait_until_drawn
from tests.synthetic_runs import exploding_recording, residual_recording

pytestmark = [pytest.mark.browser, pytest.mark.skipif(SKIPS, reason=LACKING)]

OWNED = "document.title='owned'"
NAMES = [
    f"<script>{OWNED}</script>",
    f"</script><script>{OWNED}</script>",
    f'<img src=x onerror="{OWNED}">',
    f'<svg onload="{OWNED}"><a href="javascript:{OWNED}">',
    f"--><style onload={OWNED}>",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def document(browser: Any, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Open a page and return what the browser made of it, once its first figures are drawn; all of them where that is asked for."""
    contexts = []

    def show(page: str, fragment: str = "", *, whole: bool = False) -> str:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": 1400, "height": 1000}))
        opened = contexts[-1].new_page()
        show.said = []  # type: ignore[attr-defined]
        opened.on("console", lambda message: show.said.append(message.text))  # type: ignore[attr-defined]
        opened.on("pageerror", lambda error: show.said.append(str(error)))  # type: ignore[attr-defined]
        opened.goto(path.as_uri() + fragment, wait_until="commit")
        (draw_all if whole else wait_until_drawn)(opened)
        return str(opened.content())

    yield show
    for context in contexts:
        context.close()


@pytest.fixture
def visitors() -> Iterator[tuple[int, list[bytes]]]:
    """A server that has nothing and remembers who called."""
    calls: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller:
                    caller.settimeout(5)
                    try:
                        request = caller.recv(1000)
                    except TimeoutError:
                        continue
                    if request:  # Chromium opens a connection before it asks the policy of a frame, and closes it without a word
                        calls.append(request)
                        caller.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], calls


def places(page: str) -> int:
    return len(re.findall(r'class="plot"', page))


def drawn(dom: str) -> int:
    found = re.search(r'<html[^>]*data-drawn="(\d+)"', dom)
    return int(found[1]) if found else 0


@pytest.mark.slow
def test_every_visible_figure_is_drawn(run_file: Callable[[str], Path], document: Callable[..., str]) -> None:
    page = render([run_file("exploding")])
    dom = document(page, whole=True)
    hidden = 12  # the channels of all layers but the first
    assert dom.count('class="plot-container') == places(page) - hidden
    assert 0 < drawn(dom) < places(page) - hidden  # those below the window were drawn when they came into view
    assert document.said == []  # type: ignore[attr-defined]  # nothing in the console
    assert dom.count('class="heatmaplayer') > 6
    assert "data:image/png" in dom
    buttons = set(re.findall(r'class="modebar-btn[^>]*data-title="([^"]+)"', dom))
    assert buttons == {"Zoom", "Pan", "Reset axes", "Download plot as a PNG"}


@pytest.mark.slow
def test_two_runs_are_drawn(run_file: Callable[[str], Path], document: Callable[..., str]) -> None:
    page = render([run_file("exploding"), run_file("healthy")])
    assert document(page, whole=True).count('class="plot-container') >= 2 * 9


@pytest.mark.slow
def test_a_run_without_steps_is_drawn_without_a_fault(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    assert 'data-drawn="0"' in document(render([run_file("zero_steps")]))


def afterwards(page: str, statements: str) -> str:
    """Return the page with statements that its own script runs once it has drawn all; without the policy, which would forbid them."""
    place = page.rindex("    document.documentElement.dataset.drawn =")
    return (page[:place] + "await drawAll();" + statements + page[place:]).replace("http-equiv", "data-off")


@pytest.mark.slow
def test_a_slider_moves_the_profiles(run_file: Callable[[str], Path], document: Callable[..., str]) -> None:
    page = render([run_file("exploding")])

    def line(dom: str) -> str:
        return dom[dom.index('id="profile-activation-0"') :].split('class="js-line"', 1)[1].split(">", 1)[0]

    to_start = 'sliders[0].input.value = 0; sliders[0].input.dispatchEvent(new Event("input"));'
    # A figure out of view is drawn when it comes into view, as drawAll draws it.
    to_start += "await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))); await drawAll();"
    moved = document(afterwards(page, to_start))
    assert line(document(page, whole=True)) != line(moved)
    assert "<output>0</output>" in moved


@pytest.mark.slow
def test_a_click_on_a_heat_map_moves_the_slider(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    page = render([run_file("exploding")])
    click = 'place("{}").emit("plotly_click", {{ points: [{{ curveNumber: {}, pointNumber: {}, x: {}, y: {} }}] }});'
    assert "<output>7</output>" in document(afterwards(page, click.format("map-dead-share-0", 0, "[4, 7]", 7, 4)))
    # What is not finite is a trace of its own, which begins at another layer and step.
    broken = analyse_runs([read_run(run_file("exploding"))])[0].fields["activation-rms"].nonfinite
    step, layer = (int(places[-1]) for places in broken.nonzero())
    assert step > 0 and layer > 0
    dom = document(afterwards(page, click.format("map-activation-rms-0", 1, "[0, 0]", step, layer)))
    assert f"<output>{step}</output>" in dom
    assert f"<h2>{read_run(run_file('exploding')).layers[layer].name}</h2>" in layer_panel(dom)


@pytest.mark.slow
def test_the_next_version_of_a_live_page_is_drawn_in_place(tmp_path: Path, document: Callable[[str], str]) -> None:
    before, after = (_live_page(tmp_path / str(steps), steps) for steps in (16, 18))
    late_page = f'new DOMParser().parseFromString(atob("{_base64(after)}"), "text/html")'
    renew = f"""
    document.querySelector("tr[data-layer='3'] button.layer").click();
    document.title = "before";
    const renewed_with = async (next) => {{
      const done = new Promise((resolve) => document.addEventListener("bnprobe:renewed", resolve, {{ once: true }}));
      document.dispatchEvent(new CustomEvent("bnprobe:renew", {{ detail: next }}));
      await done;
      await drawAll();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }};
    sliders[0].input.value = sliders[0].steps.length - 1;
    const overlay = place("loss-all");
    const ends = () => ["map-activation-rms-0", "map-dead-share-0"].map((id) =>
      [place(id).data[0].x.at(-1), ...place(id)._fullLayout.xaxis.range].map((end) => end.toFixed(1)));
    await renewed_with({late_page});
    document.body.dataset.same = overlay === place("loss-all") && overlay.isConnected;
    document.body.dataset.ends = ends().join(" ");
    await Plotly.relayout(place("map-activation-rms-0"), {{ "xaxis.range[0]": 3, "xaxis.range[1]": 9 }});
    await new Promise((resolve) => setTimeout(resolve, 500));
    shown = "";
    await renewed_with({late_page});
    document.body.dataset.zoomed = ends().join(" ");
    const axis = place("map-activation-rms-0")._fullLayout.xaxis;
    document.body.dataset.back = [axis._rangeInitial0, axis._rangeInitial1];
    Object.assign(figures, JSON.parse(shown)); /* a zoom before the first figure of a version is drawn */
    await Plotly.relayout(place("map-dead-share-0"), {{ "xaxis.range[0]": 4, "xaxis.range[1]": 8 }});
    await drawAll();
    document.body.dataset.between = ends().join(" ");
    await Plotly.relayout(place("map-dead-share-0"), {{ "xaxis.range[0]": 2, "xaxis.range[1]": 7 }});
    await new Promise((resolve) => setTimeout(resolve, 500));
    document.body.dataset.passed = ends().join(" ");
"""
    dom = document(afterwards(before, renew))
    section = {name: dom.split(f'id="{name}"')[1].split("</section>")[0] for name in ("comparison", "verdict")}
    assert "18 steps" in section["verdict"]
    compared = re.sub(r"<[^>]*>", " ", section["comparison"].split('<table class="comparison"')[1]).split("Steps")[1]
    assert compared.split()[0] == "18"
    assert 'data-same="true"' in dom
    assert f'data-ends="{" ".join(2 * ["17.5,-0.5,17.5"])}"' in dom  # where the columns end, and the axis
    assert f'data-zoomed="{" ".join(2 * ["9.0,3.0,9.0"])}"' in dom
    assert f'data-between="{" ".join(2 * ["8.0,4.0,8.0"])}"' in dom
    assert f'data-passed="{" ".join(2 * ["7.0,2.0,7.0"])}"' in dom
    assert 'data-back="-0.5,17.5"' in dom  # where a double-click leads
    assert "<title>before" not in dom
    assert document.said == []  # type: ignore[attr-defined]
    assert not layer_panel(dom).split(">")[0].endswith("hidden")
    assert "<output>17</output>" in dom  # the slider stood at the end, and stands there again


def _live_page(folder: Path, steps: int) -> str:
    """Two runs beside each other, the first of some steps; the layers of one of them were not measured, so that columns are uneven."""
    folder.mkdir()
    growing = exploding_recording(steps=steps, blocks=1)
    growing.observed[4] = False
    return render([growing.write(folder / "run.h5"), residual_recording(steps=18, blocks=1).write(folder / "other.h5")])


def _base64(page: str) -> str:
    """The page without plotly, which it does not need twice, and without what ``atob`` does not know."""
    return base64.b64encode(page.replace(plotly_js(), "").encode("ascii", "xmlcharrefreplace")).decode()


def layer_panel(dom: str) -> str:
    """What the panel of one layer says, without its drawing."""
    return dom[dom.index('<aside id="layer-panel"') :].split('<div class="chart"')[0]


@pytest.mark.slow
def test_a_click_on_a_name_opens_its_layer(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    page = render([run_file("exploding"), run_file("healthy")])
    assert "hidden" in layer_panel(document(page)).split(">")[0]
    click = """
    document.querySelector("tr[data-layer='3'] button.layer").click();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    document.title = `${chart.data.filter(({ type }) => type !== "bar").length} curves, ${location.hash}`;
    """
    dom = document(afterwards(page, click.replace("document.dispatchEvent", "document.body.dispatchEvent")))
    shown = layer_panel(dom)
    name = read_run(run_file("exploding")).layers[4].name
    assert f"<h2>{name}</h2>" in shown and "hidden" not in shown.split(">")[0]
    assert "● exploding" in shown and "● healthy" in shown
    curves, link = re.findall(r"<title>(\d+) curves, (.*)</title>", dom)[0]
    assert int(curves) in (10, 12)  # a quantity a run; a layer without weights has no update ratio
    assert f"layer={name}" in link


@pytest.mark.slow
def test_a_link_opens_the_step_and_the_layer_that_it_names(run_file: Callable[[str], Path], document: Callable[..., str]) -> None:
    dom = document(render([run_file("exploding")]), "#step=7&layer=classifier")
    assert "<output>7</output>" in dom
    assert "<h2>classifier</h2>" in layer_panel(dom)
    dom = document(render([run_file("exploding")]), "#step=7&layer=%3Cscript%3E")
    assert "hidden" in layer_panel(dom).split(">")[0]


@pytest.mark.slow
def test_zooming_one_figure_over_steps_zooms_all(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    page = render([run_file("exploding"), run_file("healthy")])
    zoom = """
    const zoomed = { "xaxis.range[0]": 3, "xaxis.range[1]": 9, "yaxis.range[0]": 20, "yaxis.range[1]": 10 };
    await Plotly.relayout(place("map-common-mode-0"), zoomed);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const range = (id, axis) => place(id).layout[axis].range.map(Math.round).join(" to ");
    document.title = ["loss-0", "map-dead-share-0", "loss-1", "map-dead-share-1"].map((id) => range(id, "xaxis"))
      .concat(["map-dead-share-0", "map-dead-share-1"].map((id) => range(id, "yaxis"))).join(", ");
    """
    dom = document(afterwards(page, zoom))
    # Steps are shared by all, layers by the heat maps of the same run.
    assert "<title>3 to 9, 3 to 9, 3 to 9, 3 to 9, 20 to 10, 59 to 0</title>" in dom


def order_of_table(dom: str) -> list[str]:
    """The names in the table of layers that are shown, from the top."""
    table = dom[dom.index('<table class="layers">') :].split("</table>")[0]
    rows = re.findall(r"<tr data-run.*?</tr>", table.split("<tbody>", 1)[1], re.DOTALL)
    shown = [row for row in rows if " hidden" not in row.split(">")[0]]
    return [re.sub(r"<[^>]*>", "", re.search(r"<th.*?</th>", row, re.DOTALL)[0]).strip() for row in shown]  # type: ignore[index]


@pytest.mark.slow
def test_a_heading_sorts_the_table_and_a_word_filters_it(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    path = run_file("exploding")
    page = render([path])
    lines = {line.name: line for line in layer_lines(analyse_runs([read_run(path)])[0])}
    worst_first = order_of_table(document(page))
    assert worst_first == list(lines)
    by_depth = sorted(lines, key=lambda name: lines[name].depth)
    by_size = sorted(lines, key=lambda name: (-lines[name].keys[5], worst_first.index(name)))
    click = "document.querySelector('table.layers thead th:nth-child({}) button').click();"
    assert order_of_table(document(afterwards(page, click.format(2)))) == by_depth
    assert order_of_table(document(afterwards(page, click.format(7)))) == by_size
    assert order_of_table(document(afterwards(page, click.format(7) * 3))) == worst_first
    word = "const box = document.querySelector('.table-tools input'); box.value = 'stage2';"
    word += "box.dispatchEvent(new Event('input', { bubbles: true }));"
    assert order_of_table(document(afterwards(page, click.format(2) + word))) == [name for name in by_depth if "stage2" in name]


@pytest.mark.slow
def test_a_name_is_never_run(tmp_path: Path, document: Callable[[str], str]) -> None:
    made = exploding_recording()
    for layer, name in zip(made.layers, NAMES, strict=False):
        layer["layer"] = name
    made.attributes["script"] = NAMES[0]
    made.events.append((1, NAMES[1], NAMES[2]))
    page = render([made.write(tmp_path / "run.h5")])
    dom = document(page)
    assert drawn(dom) > 0
    assert "<title>run – bnprobe</title>" in dom
    # The names are there to be read: in the figures, too, where plotly renders a subset of HTML.
    assert dom.count("&lt;script&gt;document") > 2


@pytest.mark.slow
def test_the_policy_stops_what_escaping_would_have_missed(
    run_file: Callable[[str], Path], document: Callable[[str], str], visitors: tuple[int, list[bytes]]
) -> None:
    port, calls = visitors
    injected = (
        f'<script>{OWNED}</script><img src=x onerror="{OWNED}"><img src=http://127.0.0.1:{port}/image>'
        f"<script src=http://127.0.0.1:{port}/script></script><link rel=stylesheet href=http://127.0.0.1:{port}/style>"
        f"<iframe src=http://127.0.0.1:{port}/frame></iframe>"
    )
    page = render([run_file("zero_steps")])
    dom = document(page.replace("<main>", f"<main>{injected}"))
    assert "<title>zero_steps – bnprobe</title>" in dom
    assert calls == []
    assert document.said, "the test must notice what the browser says of a page"  # type: ignore[attr-defined]
    image = injected[: injected.index("<script src")]
    assert "<title>owned</title>" in document(page.replace("<main>", f"<main>{image}").replace("http-equiv", "data-off"))
    deadline = time.monotonic() + 20
    while not calls and time.monotonic() < deadline:
        time.sleep(0.05)
    assert calls, "the test must notice a page that does call"
