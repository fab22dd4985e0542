"""The page in a real browser: it draws itself, obeys its slider, and runs nothing that came with a name."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from bnprobe.report.page import render
from bnprobe.store.reader import read_run
from tests.synthetic_runs import exploding_recording

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")]

OWNED = "document.title='owned'"
NAMES = [
    f"<script>{OWNED}</script>",
    f"</script><script>{OWNED}</script>",
    f'<img src=x onerror="{OWNED}">',
    f'<svg onload="{OWNED}"><a href="javascript:{OWNED}">',
    f"--><style onload={OWNED}>",
]


@pytest.fixture
def document(tmp_path: Path) -> Callable[[str], str]:
    """Open a page and return what the browser made of it, once all figures are drawn."""

    def show(page: str, fragment: str = "") -> str:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        command = [str(CHROMIUM), "--headless", "--disable-gpu", "--disable-background-networking", "--window-size=1400,1000"]
        command += ["--no-sandbox"] if os.geteuid() == 0 else []
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=30000", "--dump-dom"]
        done = subprocess.run([*command, "--enable-logging=stderr", path.as_uri() + fragment], capture_output=True, timeout=120, check=True)
        show.said = [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line]  # type: ignore[attr-defined]
        return done.stdout.decode()

    return show


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
                    request = caller.recv(1000)
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
def test_every_visible_figure_is_drawn(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    page = render([run_file("exploding")])
    dom = document(page)
    hidden = 12  # the channels of all layers but the first
    assert drawn(dom) == places(page) - hidden
    assert document.said == []  # type: ignore[attr-defined]  # nothing in the console
    assert dom.count('class="heatmaplayer') > 6
    assert "data:image/png" in dom
    buttons = set(re.findall(r'class="modebar-btn[^>]*data-title="([^"]+)"', dom))
    assert buttons == {"Zoom", "Pan", "Reset axes", "Download plot as a PNG"}


@pytest.mark.slow
def test_two_runs_are_drawn(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    page = render([run_file("exploding"), run_file("healthy")])
    assert drawn(document(page)) >= 2 * 9


@pytest.mark.slow
def test_a_run_without_steps_is_drawn_without_a_fault(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    assert 'data-drawn="0"' in document(render([run_file("zero_steps")]))


def afterwards(page: str, statements: str) -> str:
    """Return the page with statements that its own script runs once all is drawn; without the policy, which would forbid them."""
    place = page.rindex("    document.documentElement.dataset.drawn =")
    return (page[:place] + statements + page[place:]).replace("http-equiv", "data-off")


@pytest.mark.slow
def test_a_slider_moves_the_profiles(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    page = render([run_file("exploding")])

    def line(dom: str) -> str:
        return dom[dom.index('id="profile-activation-0"') :].split('class="js-line"', 1)[1].split(">", 1)[0]

    to_start = 'sliders[0].input.value = 0; sliders[0].input.dispatchEvent(new Event("input"));'
    moved = document(afterwards(page, to_start))
    assert line(document(page)) != line(moved)
    assert "<output>0</output>" in moved


@pytest.mark.slow
def test_a_click_on_a_heat_map_moves_the_slider(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    click = 'place("map-dead-share-0").emit("plotly_click", { points: [{ pointNumber: [4, 7] }] });'
    assert "<output>7</output>" in document(afterwards(render([run_file("exploding")]), click))


@pytest.mark.slow
def test_the_next_version_of_a_live_page_is_drawn_in_place(tmp_path: Path, document: Callable[[str], str]) -> None:
    early, late = (exploding_recording(steps=steps).write(tmp_path / f"{steps}.h5") for steps in (16, 18))
    before, after = (re.sub(r"\b(16|18)\.h5", "run.h5", render([run])) for run in (early, late))
    late_page = f'new DOMParser().parseFromString(atob("{_base64(after)}"), "text/html")'
    renew = f"""
    document.querySelector("tr[data-layer='3'] button.layer").click();
    document.title = "before";
    sliders[0].input.value = sliders[0].steps.length - 1;
    document.dispatchEvent(new CustomEvent("bnprobe:renew", {{ detail: {late_page} }}));
    await new Promise((resolve) => setTimeout(resolve, 2000));
"""
    dom = document(afterwards(before, renew))
    assert "18 steps" in dom.split('id="verdict"')[1].split("</section>")[0]
    assert "<title>before" not in dom
    assert document.said == []  # type: ignore[attr-defined]
    assert not layer_panel(dom).split(">")[0].endswith("hidden")
    assert "<output>17</output>" in dom  # the slider stood at the end, and stands there again


def _base64(page: str) -> str:
    """The page without plotly, which it does not need twice, and without what ``atob`` does not know."""
    return base64.b64encode(page.replace(get_plotlyjs(), "").encode("ascii", "xmlcharrefreplace")).decode()


def layer_panel(dom: str) -> str:
    """What the panel of one layer says, without its drawing."""
    return dom[dom.index('<aside id="layer-panel"') :].split('<div class="chart"')[0]


def test_a_click_on_a_name_opens_its_layer(run_file: Callable[[str], Path], document: Callable[[str], str]) -> None:
    page = render([run_file("exploding"), run_file("healthy")])
    assert "hidden" in layer_panel(document(page)).split(">")[0]
    click = """
    document.querySelector("tr[data-layer='3'] button.layer").click();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    document.title = `${chart.data.length} curves, ${location.hash}`;
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
    assert calls, "the test must notice a page that does call"
