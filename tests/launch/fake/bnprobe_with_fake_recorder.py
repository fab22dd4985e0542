"""The real command line with a recorder that writes what it is told, one JSON object a line."""

import json
import os
import sys
import types

from bnprobe.cli import last_words, main
from bnprobe.errors import ResumeError
from bnprobe.observe.options import Progress, StopTraining


class Recorder:
    def __init__(self, path, options, provenance, on_progress):
        if os.environ.get("FAKE_FAULT") == "init":
            raise OSError("the disk is on fire")
        if os.environ.get("FAKE_FAULT") == "refuse":
            raise ResumeError("this is another training")
        self.path, self.options, self.provenance, self.on_progress = path, options, provenance, on_progress
        self.steps = 0
        with open(path, "x"):
            pass

    def install(self):
        import torch

        self._write("install", pid=os.getpid(), provenance=self.provenance, options=vars(self.options))
        torch.observers.append(self._step)

    has_recorded = True

    @property
    def has_rows(self):
        return self.steps > 0

    def flush(self):
        self._write("flush")

    def leave_off(self, ending):
        self._write("leave_off", ending=ending and vars(ending))

    def finish(self, ending):
        if os.environ.get("FAKE_FAULT") == "finish":
            raise OSError("the disk is on fire")
        exec("pass")  # what imports do, and what makes the interpreter forget a KeyboardInterrupt
        self._write("finish", steps=self.steps, ending=vars(ending))

    def abandon(self):
        # A pipe set by the test, never the file: this is a forked child.
        if "ABANDONED" in os.environ:
            with open(os.environ["ABANDONED"], "a") as file:
                file.write("abandoned\n")

    def _step(self):
        self.steps += 1
        if self.on_progress:
            self.on_progress(Progress(self.steps - 1, 2.5, 0.1, "layer1", 3.0, 0.01, ""))
        if self.steps == self.options.max_steps:
            raise StopTraining(f"--max-steps {self.steps}")

    def _write(self, event, **more):
        with open(self.path, "a") as file:
            file.write(json.dumps({"event": event, **more}) + "\n")


def closing_lines(file):
    """No run to read: say where it lies."""
    return [f"recorded to {os.path.relpath(file)}"]


last_words.closing_lines = closing_lines
sys.modules["bnprobe.observe.recorder"] = types.SimpleNamespace(Recorder=Recorder)

if __name__ == "__main__":
    main()
