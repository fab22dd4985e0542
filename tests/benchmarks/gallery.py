"""The pictures of docs/gallery.md and the README: records the sample runs, writes their pages, and takes a picture of each.

    python -m tests.benchmarks.gallery [--keep FOLDER] [NAME ...]
    python -m tests.benchmarks.gallery ubn        # the figures of a paper, of two networks of 110 layers: about twenty minutes
    python -m tests.benchmarks.gallery trouble    # one of them when a training diverges
    python -m tests.benchmarks.gallery cifar      # some of them, of the published networks at 32x32, before the first update

Needs Chromium, Playwright and Pillow. ``--keep`` keeps the recordings, and uses those that are there.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops

from tests.report.browsing import chromium, wait_until_drawn

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "sample_runs"
DOCS = ROOT / "docs"
#: Recordings that each picture shows.
PAGES = {
    "demo": ["deep_residual_plain", "deep_residual_batch_norm"],
    "mlp_mean_shift": ["mlp_mean_shift"],
    "transformer_language_model": ["transformer_language_model"],
    "lstm_sequence": ["lstm_sequence"],
    "gan": ["gan"],
    "healthy_cnn": ["healthy_cnn"],
}
#: The recordings of the figures of a paper: a script, and its rate. Without batch norm it learns at the first, and diverges at the second.
LEARNS, DIVERGES = ("deep_residual_plain", "3e-8"), ("deep_residual_plain", "1e-6")
BATCH_NORM = ("deep_residual_batch_norm", "0.1")
UBN_RECORD = ["--figures", "ubn", "--audit"]
UBN_SCRIPT = ["--depth", "110", "--warm-up", "0", "--steps", "8", "--learning-rate"]
UBN_HEIGHT = 1400
#: Figures of the published networks, at initialisation.
CIFAR_SCRIPT, CIFAR_FIGURES = "cifar_resnet", ("init", "noise")
#: The loss along their first update, of batches of 32: without a norm at the rate of the minimum with batch norm.
CIFAR_LINE = {"none": ["--batch-size", "32", "--learning-rate", "0.01"], "batch": ["--batch-size", "32"]}
WIDTH, HEIGHT, TALL, SHOWN_WIDTH, COLOURS = 1400, 1500, 2250, 1000, 128


def record(name: str, folder: Path, options: Sequence[str] = (), arguments: Sequence[str] = (), suffix: str = "") -> Path:
    file = folder / f"{name}{suffix}.h5"
    if not file.exists():
        command = [
            sys.executable,
            "-m",
            "bnprobe",
            "record",
            "-q",
            *options,
            "-o",
            str(file.resolve()),
            f"{SCRIPTS.name}/{name}.py",
            *arguments,
        ]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)  # the page names the script as it was typed
    return file


def picture(page: Path, target: Path, height: int, width: int = SHOWN_WIDTH) -> None:
    """Take the top of a page, in few colours."""
    shot = page.with_suffix(".png")
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
        tab.goto(page.as_uri())
        wait_until_drawn(tab)
        tab.screenshot(path=shot)
    with Image.open(shot) as image:
        small = image.convert("RGB").resize((width, image.height * width // image.width), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(target, optimize=True)


def papers(folder: Path) -> None:
    """Take a picture of each figure of a paper, of two networks side by side; channels along an update where it diverges."""
    made = {run: record(run[0], folder, UBN_RECORD, [*UBN_SCRIPT, run[1]], f"-{run[1]}") for run in (LEARNS, DIVERGES, BATCH_NORM)}
    for plain in (LEARNS, DIVERGES):
        page = folder / "ubn.html"
        shown = [str(made[plain]), str(made[BATCH_NORM])]
        subprocess.run([sys.executable, "-m", "bnprobe", "report", *shown, "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
        text = without_policy(page)
        for key in re.findall(r'class="paper" id="paper-([a-z]+)"', text):
            if (key == "update") == (plain is DIVERGES):
                figure_alone(text, key, folder)


def published_networks(folder: Path) -> None:
    """Take pictures of the networks without, with batch norm, and with mean shift rejection, at initialisation."""
    shared = ["--data", "digits", "--depth", "110", "--steps", "1", "--norm"]
    at_first = [
        record(CIFAR_SCRIPT, folder, ["--figures", ",".join(CIFAR_FIGURES)], [*shared, kind], f"-{kind}")
        for kind in ("none", "batch", "msr")
    ]
    along = [
        record(CIFAR_SCRIPT, folder, ["--figures", "line"], [*shared, kind, *options], f"-line-{kind}")
        for kind, options in CIFAR_LINE.items()
    ]
    for made, keys in ((at_first, CIFAR_FIGURES), (along, ("line",))):
        page = folder / "cifar.html"
        shown = [str(one) for one in made]
        subprocess.run([sys.executable, "-m", "bnprobe", "report", *shown, "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
        for key in keys:
            figure_alone(without_policy(page), key, folder, "cifar")


def trouble(folder: Path) -> None:
    """Take a picture of the gradients of the logits before a training diverges, and when it does."""
    arguments = ["--depth", "20", "--learning-rate", "0.3"]
    made = record("deep_residual_plain", folder, ["--figures", "logits", "--figures-at", "0,trouble"], arguments, "-trouble")
    page = folder / "trouble.html"
    subprocess.run([sys.executable, "-m", "bnprobe", "report", str(made), "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
    figure_alone(without_policy(page), "logits", folder, "trouble")


def without_policy(page: Path) -> str:
    """The text of a page that a style may be added to."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))


def figure_alone(text: str, key: str, folder: Path, kind: str = "ubn") -> None:
    """Take a picture of one figure of a page."""
    others = "header, main > section, #papers > *, footer, .modebar { display: none !important }"
    style = f"{others} #papers, #papers > #paper-{key} {{ display: block !important }}"
    single, target = folder / f"{kind}-{key}.html", DOCS / "gallery" / f"{kind}_{key}.png"
    single.write_text(text.replace("</head>", f"<style>{style}</style></head>", 1), encoding="utf-8")
    picture(single, target, UBN_HEIGHT)
    with Image.open(target) as image:
        plain = image.convert("RGB")
    ground = Image.new("RGB", plain.size, plain.getpixel((0, plain.height - 1)))
    _, _, _, bottom = ImageChops.difference(plain, ground).getbbox() or (0, 0, *plain.size)
    plain.crop((0, 0, plain.width, min(plain.height, bottom + 12))).quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(
        target, optimize=True
    )
    print(target.name, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(PAGES)} (default: all)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if "ubn" in options.name:
            papers(folder)
        if "trouble" in options.name:
            trouble(folder)
        if "cifar" in options.name:
            published_networks(folder)
        for name in [name for name in options.name if name in PAGES] if options.name else PAGES:
            runs = [str(record(one, folder)) for one in PAGES[name]]
            page = Path(scratch) / f"{name}.html"
            subprocess.run([sys.executable, "-m", "bnprobe", "report", *runs, "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
            picture(page, DOCS / "gallery" / f"{name}.png", HEIGHT)
            if name == "demo":
                picture(page, DOCS / "page.png", TALL, WIDTH)
            print(name, flush=True)


if __name__ == "__main__":
    main()
