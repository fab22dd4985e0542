"""Runs as a Model Context Protocol server on stdio, on the protocol's own SDK: programs that help with a training ask, and read answers.

Only the files that were named at the start can be asked about; they are read and never written. A file that has changed since the last
question is read again, so that a run can be asked about while it is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from bnprobe import __version__
from bnprobe.analyse.views import RunView
from bnprobe.errors import BnprobeError, RunFileError, UsageError
from bnprobe.integrations import questions
from bnprobe.integrations.libraries import required
from bnprobe.integrations.questions import Answer
from bnprobe.ranks import read_training, stem_of, trainings
from bnprobe.store.reader import Run, read_run

INSTRUCTIONS = """Recordings of neural-network trainings by bnprobe. Ask for `findings` first: the outcome, the cause with its evidence, the
layer and the step where it began, and what to do. `overview` names layers, parameters and the series that were recorded; `series` and
`at_step` give numbers; `compare` says how two runs differ. A finding with "candidate": true is less than a verdict."""


class RunFiles:
    """The runs that may be asked about, each read when it is asked for and again once a file of it has changed.

    Args:
        paths: of run files, at least one. Ranks of one training are a run, merged, and each is one by itself as well.
            One that cannot be read yet is by itself, and is said to be unreadable when it is asked about.

    Raises:
        UsageError: two of them have one name.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if len({path.name for path in paths}) < len(paths):
            raise UsageError("two of these files have the same name", "rename one: questions name a run by its file")
        readable: list[Run] = []
        #: Why files cannot be read yet, a sentence each.
        self.unreadable: list[str] = []
        for path in paths:
            try:
                readable.append(read_run(path))
            except RunFileError as error:
                self.unreadable.append(str(error))
        merged = [[rank.path for rank in run.ranks] for run in trainings(readable) if run.ranks]
        self._paths = {f"{stem_of(own)} ({len(own)} ranks)": own for own in merged} | {path.name: [path] for path in paths}
        self._read: dict[str, tuple[list[tuple[int, int]], RunView]] = {}

    @property
    def names(self) -> list[str]:
        """Their names: merged ranks first, then the files in the order they were given."""
        return list(self._paths)

    def __getitem__(self, name: str) -> RunView:
        """Return a run; "" is the first.

        Raises:
            UsageError: there is no such run.
            RunFileError: the file cannot be read.
        """
        name = name or self.names[0]
        if name not in self._paths:
            raise UsageError(f"there is no run {name!r}", f"there are {', '.join(self.names)}")
        paths = self._paths[name]
        stamp = [(state.st_mtime_ns, state.st_size) if (state := path.stat() if path.exists() else None) else (0, 0) for path in paths]
        if name not in self._read or self._read[name][0] != stamp:
            self._read[name] = stamp, RunView.of(read_training(paths, "a question"))
        return self._read[name][1]


def _unheard(sentence: str) -> None:
    del sentence


def server(paths: Sequence[Path], say: Callable[[str], None] = _unheard) -> Any:
    """Return the server of some run files.

    Args:
        paths: the files, at least one.
        say: told, a sentence each, of files that cannot be read yet: a recording may be about to begin, or its path be wrong.

    Returns:
        An ``mcp.server.mcpserver.MCPServer``; its ``run("stdio")`` serves until stdin ends.

    Raises:
        BnprobeError: the SDK is not installed, or older than its second version.
        UsageError: two files have one name.
    """
    sdk = required("mcp.server.mcpserver", "bnprobe[mcp]")
    files = RunFiles(paths)
    for problem in files.unreadable:
        say(f"{problem}; it is read when a question names it")
    made = sdk.MCPServer("bnprobe", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    tool_error = sdk.exceptions.ToolError
    for question in _questions(files):
        made.tool()(_told(question, tool_error))
    return made


def _questions(files: RunFiles) -> list[Callable[..., Answer]]:
    """The tools. Their names, arguments and docstrings are what a client reads."""

    def runs() -> Answer:
        """List the runs that can be asked about, each with its state, steps, outcome and the id of its verdict."""
        return {"runs": [_line(name, files) for name in files.names]}

    def overview(run: str = "") -> Answer:
        """What a run holds: attributes, layers in order of depth, parameters, events, what could not be observed, and its series."""
        return questions.overview(files[run])

    def findings(run: str = "") -> Answer:
        """The outcome of the training and the findings, the verdict first: cause, evidence, layers, step, fix, confidence."""
        return questions.findings(files[run])

    def series(variable: str, of: str = "", run: str = "", most: int = 200) -> Answer:
        """One recorded quantity over steps, such as "loss", or "activation_rms" of a layer. Thinned to `most` points; spikes survive."""
        return questions.series(files[run], variable, of, most)

    def at_step(variable: str, step: int, run: str = "") -> Answer:
        """One recorded quantity of every layer or parameter, in order of depth, at the measured step nearest to `step`."""
        return questions.at_step(files[run], variable, step)

    def compare(first: str, second: str) -> Answer:
        """How two runs differ: outcome, verdict, arguments and versions, and the layers whose activations differ most."""
        return questions.comparison(files[first], files[second])

    return [runs, overview, findings, series, at_step, compare]


def _line(name: str, files: RunFiles) -> Answer:
    try:
        run = files[name]
    except RunFileError as error:
        return {"run": name, "status": "unreadable", "problem": str(error)}
    found = questions.findings(run)
    return {"run": name, "status": run.status, "steps": run.trained_steps, "outcome": found["outcome"]["word"], "verdict": found["verdict"]}


def _told(question: Callable[..., Answer], tool_error: type[Exception]) -> Callable[..., Answer]:
    """The question, with our errors as the protocol's own, hint included."""

    @wraps(question)
    def answer(*arguments: Any, **named: Any) -> Answer:
        try:
            return question(*arguments, **named)
        except BnprobeError as error:
            raise tool_error(f"{error}. Hint: {error.hint}" if error.hint else str(error)) from None

    return answer
