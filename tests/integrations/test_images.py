"""Each figure of a page as an image file, read back by what shows them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bnprobe.errors import BnprobeError, UsageError
from bnprobe.integrations import images
from bnprobe.integrations.images import PNG_SCALE, check_images, write_images
from bnprobe.report.paper import WIDTH, figures_by_name
from tests.report.browsing import CHROMIUM
from tests.synthetic_runs import residual_recording


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return residual_recording(steps=6, blocks=1).write(tmp_path_factory.mktemp("images") / "run.h5")


def test_without_kaleido_it_says_what_to_install(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kaleido", None)
    with pytest.raises(BnprobeError, match="needs kaleido") as raised:
        write_images([run], tmp_path / "images")
    assert "bnprobe[images]" in str(raised.value.hint)
    with pytest.raises(BnprobeError, match="needs kaleido"):
        check_images(tmp_path / "images")
    assert not (tmp_path / "images").exists()


def test_without_a_browser_it_says_what_to_install(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ChromeNotFoundError(RuntimeError):
        pass

    class Kaleido:
        @staticmethod
        def write_fig_from_object_sync(*_: object, **__: object) -> None:
            raise ChromeNotFoundError

        class Chromium:
            @staticmethod
            def find_browser(*, skip_local: bool) -> str | None:
                return None if skip_local else "/nowhere/chromium"

    monkeypatch.setattr(images, "required", lambda *_: Kaleido)
    for draws in (lambda: write_images([run], tmp_path / "images"), lambda: check_images(tmp_path / "images")):
        with pytest.raises(UsageError, match="there is none that starts"):
            draws()
    with pytest.raises(UsageError, match="it is a file"):
        check_images(run)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_images_are_read_by_what_shows_them(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kaleido")
    image = pytest.importorskip("PIL.Image")
    kept = {name: figure for name, figure in figures_by_name([run]).items() if name in ("loss", "map-activation-rms")}
    monkeypatch.setattr(images, "figures_by_name", lambda _: kept)
    written = write_images([run], tmp_path / "images")
    assert [path.name for path in written] == ["loss.svg", "loss.png", "map-activation-rms.svg", "map-activation-rms.png"]
    drawing = ET.fromstring(written[0].read_text(encoding="utf-8"))
    assert drawing.tag.endswith("svg") and drawing.get("width") == str(WIDTH)
    assert "learning rate" in "".join(drawing.itertext())
    with image.open(written[3]) as picture:
        assert picture.size == (PNG_SCALE * WIDTH, PNG_SCALE * kept["map-activation-rms"]["layout"]["height"])
        assert len(picture.convert("RGB").getcolors(10**6)) > 100
