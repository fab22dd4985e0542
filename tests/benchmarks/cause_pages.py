"""Write the examples in `docs/causes`: real output on a program of the fault library, and a picture cut from its report.

    python -m tests.benchmarks.cause_pages [CAUSE ...]

Each page names its program in a comment, `<!-- example: PROGRAM -->`; what stands between that and `<!-- end -->` is written anew.
The pictures need Chromium and Pillow; without them, `--no-pictures`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bnprobe.diagnose import diagnose
from bnprobe.diagnose.text import to_text
from bnprobe.report.page import write_page
from bnprobe.store.reader import read_run
from tests.faults.manifest import PROGRAMS
from tests.faults.recording import KEPT, Take, recorded
from tests.observe.program_server import ProgramServer

PAGES = Path(__file__).parents[2] / "docs" / "causes"
MARK = re.compile(r"(<!-- example: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
#: What the picture shows below the loss: a panel of the report.
PANELS = {
    "exploding-activations": "profile-activation",
    "unscaled-input": "profile-activation",
    "mean-shift": "profile-activation",
    "saturated-units": "profile-activation-gradient",
    "vanishing-gradients": "profile-activation-gradient",
    "exploding-gradients": "profile-activation-gradient",
    "dead-units": "map-dead-share",
    "frozen-parameters": "map-update-ratio",
    "learning-rate-too-high": "map-update-ratio",
    "learning-rate-too-low": "map-update-ratio",
    "weight-decay-too-strong": "map-activation-rms",
}
WIDTH, HEIGHT, COLOURS = 1000, 1200, 48


def example(file: Path, program: str, picture: str) -> str:
    """The block of a page: picture, commands, output."""
    shown = f"![The loss with the fault, left, and without it]({picture})\n\n" if picture else ""
    commands = f"$ bnprobe record -o run.h5 tests/faults/tuned/{program}.py\n$ bnprobe diagnose run.h5"
    return f"\n{shown}```console\n{commands}\n{to_text(diagnose(read_run(file)))}\n```\n\n"


def draw(fault: Path, fixed: Path, panel: str | None, target: Path) -> None:
    """Cut the loss and one kind of panel out of the report that lays both runs side by side."""
    from PIL import Image, ImageChops  # not needed with --no-pictures

    page, shot = fault.with_suffix(".html"), fault.with_suffix(".png")
    write_page([fault, fixed], page)
    panels = f"[id^=loss-]{f', [id^={panel}-]' if panel else ''}"
    unwanted = (
        f"svg.patterns, header, footer, .modebar, .note, h2, input, label, main > section:not(:has({panels})), .panel:not(:has({panels}))"
    )
    style = f"<style>{unwanted} {{ display: none !important }} section {{ margin: 0 }}</style>"
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))  # which forbids that style
    page.write_text(html.replace("</head>", f"{style}</head>"), encoding="utf-8")
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=8000"]
    size = [f"--window-size={WIDTH},{HEIGHT}", "--blink-settings=preferredColorScheme=1", f"--screenshot={shot}", page.as_uri()]
    subprocess.run([*chromium, *size], check=True, capture_output=True)
    with Image.open(shot) as image:
        whole = image.convert("RGB")
        drawn = ImageChops.difference(whole, Image.new("RGB", whole.size, whole.getpixel((0, 0)))).getbbox()
        assert drawn is not None, "the page shows nothing"
        cut = whole.crop((0, 0, whole.width, drawn[3] + 8))
        cut.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cause", nargs="*", help="ids (default: all)")
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures as they are")
    parser.add_argument("--recordings", type=Path, default=KEPT, metavar="FOLDER", help="where they are kept (default: %(default)s)")
    options = parser.parse_args()
    programs = {program.name: program for program in PROGRAMS}
    server = ProgramServer()
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        found = MARK.search(text)
        if found is None or (options.cause and page.stem not in options.cause):
            continue
        program, image = programs[found[2]], page.with_suffix(".png")
        with tempfile.TemporaryDirectory() as scratch:
            if not options.no_pictures:
                pair = []
                for take, label in ((Take(program), "with the fault"), (Take(program, fixed=True), "without it")):
                    pair.append(shutil.copy(recorded(server, take, options.recordings).file, Path(scratch) / f"{label}.h5"))
                draw(*pair, PANELS.get(page.stem), image)
            file = recorded(server, Take(program), options.recordings).file
            block = example(file, program.name, image.name if image.exists() else "")
        page.write_text(f"{text[: found.end(1)]}{block}{text[found.start(3) :]}", encoding="utf-8")
        print(page.stem, flush=True)
    server.close()


if __name__ == "__main__":
    main()
