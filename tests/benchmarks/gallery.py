"""The pictures of docs/gallery.md and the README: records the sample runs, writes their pages, and takes a picture of each.

    python -m tests.benchmarks.gallery [--keep FOLDER] [NAME ...]

Needs Chromium and Pillow. ``--keep`` keeps the recordings, and uses those that are there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

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
WIDTH, HEIGHT, TALL, SHOWN_WIDTH, COLOURS = 1400, 1500, 2250, 1000, 128


def record(name: str, folder: Path) -> Path:
    file = folder / f"{name}.h5"
    if not file.exists():
        command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(file), str(SCRIPTS / f"{name}.py")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return file


def picture(page: Path, target: Path, height: int, width: int = SHOWN_WIDTH) -> None:
    """Take the top of a page, in few colours."""
    shot = page.with_suffix(".png")
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=15000"]
    size = [f"--window-size={WIDTH},{height}", "--blink-settings=preferredColorScheme=1", f"--screenshot={shot}", page.as_uri()]
    subprocess.run([*chromium, *size], check=True, capture_output=True)
    with Image.open(shot) as image:
        small = image.convert("RGB").resize((width, image.height * width // image.width), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(PAGES)} (default: all)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.name or PAGES:
            runs = [str(record(one, folder)) for one in PAGES[name]]
            page = Path(scratch) / f"{name}.html"
            subprocess.run([sys.executable, "-m", "bnprobe", "report", *runs, "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
            picture(page, DOCS / "gallery" / f"{name}.png", HEIGHT)
            if name == "demo":
                picture(page, DOCS / "page.png", TALL, WIDTH)
            print(name, flush=True)


if __name__ == "__main__":
    main()
