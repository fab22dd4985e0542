"""Every remedy on every network of tests/remedies/trainings.py, with what it promises measured without asking it.

    python tests/benchmarks/remedy_matrix.py                    # the table in docs/remedies.md
    python tests/benchmarks/remedy_matrix.py -r msr --show      # with what each acts on, or says

A cell is *holds*, *-* where the remedy refuses in a sentence, *WRONG* otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.remedies.matrix import Cell, judge
from tests.remedies.properties import PROPERTIES
from tests.remedies.trainings import TRAININGS

MARKS = {"holds": "holds", "refuses": "-", "wrong": "WRONG", "skipped": "?"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-r", "--remedy", action="append", choices=PROPERTIES)
    parser.add_argument("--show", action="store_true", help="print each cell's text instead of the table")
    arguments = parser.parse_args()
    remedies = arguments.remedy or list(PROPERTIES)
    if not arguments.show:
        print("| network | " + " | ".join(f"`{one}`" for one in remedies) + " |\n" + "|---" * (len(remedies) + 1) + "|")
    counted: Counter[str] = Counter()
    for network in TRAININGS:
        cells = {remedy: _cell(remedy, network) for remedy in remedies}
        counted.update(cell.verdict for cell in cells.values())
        if arguments.show:
            print("\n".join(f"{cell.verdict:8s} {remedy:24s} {network:32s} {cell.text}" for remedy, cell in cells.items()), flush=True)
        else:
            print(f"| {network} | " + " | ".join(MARKS[cell.verdict] for cell in cells.values()) + " |", flush=True)
    print(f"\n{', '.join(f'{number} {verdict}' for verdict, number in counted.items())}")


def _cell(remedy: str, network: str) -> Cell:
    try:
        return judge(remedy, network)
    except pytest.skip.Exception as skipped:
        return Cell("skipped", str(skipped))


if __name__ == "__main__":
    main()
