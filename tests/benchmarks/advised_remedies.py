"""Of the remedies that a verdict advises by a command, how many refuse when that command is run. Expected: none.

    python tests/benchmarks/advised_remedies.py                      the failing programs of the fault library
    python tests/benchmarks/advised_remedies.py SCRIPT.py ...        scripts of your own

Each program is recorded, the commands in its findings are read, and each is carried out up to its first step.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bnprobe.diagnose.verdict import diagnose
from bnprobe.errors import RunFileError
from bnprobe.store.reader import read_run
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY
from tests.observe.program_server import Job, ProgramServer

_COMMAND = re.compile(r"bnprobe record --remedy (\S+) ")


def main(scripts: Sequence[Path], show: bool) -> None:
    """Record, read, carry out, count."""
    asked = refused = advising = recorded = 0
    server = ProgramServer()
    try:
        for script in scripts:
            with tempfile.TemporaryDirectory() as folder:
                names = _advised(server, script, Path(folder))
                if names is None:
                    print(f"{script.name}: not recorded", flush=True)
                    continue
                recorded, advising = recorded + 1, advising + bool(names)
                for name in names:
                    why = _refusal(server, script, Path(folder), name)
                    asked, refused = asked + 1, refused + bool(why)
                    if why or show:
                        print(f"{script.name}: {name} {f'REFUSES: {why}' if why else 'acts'}", flush=True)
    finally:
        server.close()
    print(f"{recorded} runs, {asked} remedies advised by command over {advising} of them, {refused} refuse")


def _advised(server: ProgramServer, script: Path, folder: Path) -> list[str] | None:
    """Return the remedies that the findings of a run advise by a command, each once; None where nothing was recorded."""
    (folder / "plain").mkdir()
    run_file = folder / "plain.h5"
    server.run(Job(str(script), str(folder / "plain"), str(run_file), {"budget": 1e9}))
    try:
        return list(dict.fromkeys(name for finding in diagnose(read_run(run_file)) for name in _COMMAND.findall(finding.fix)))
    except RunFileError:
        return None


def _refusal(server: ProgramServer, script: Path, folder: Path, name: str) -> str:
    """Return why a remedy refuses a script; "" where it has let it take its first step."""
    (folder / name).mkdir()
    job = Job(str(script), str(folder / name), str(folder / f"{name}.h5"), {"budget": 1e9, "remedies": [name]}, kill_at=1)
    outcome = server.run(job)[0]
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    return "" if outcome.status in (0, -9) else lines[-1] if lines else f"exit status {outcome.status}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", type=Path)
    parser.add_argument("--show", action="store_true", help="print those that act, too")
    given = parser.parse_args()
    main(given.scripts or [one.path for one in PROGRAMS if one.cause != HEALTHY], given.show)
