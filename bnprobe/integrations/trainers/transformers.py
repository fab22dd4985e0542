"""``BnprobeCallback`` for the Trainer of Hugging Face's transformers.

    from bnprobe.integrations.trainers.transformers import BnprobeCallback

    Trainer(model, arguments, train_dataset=data, callbacks=[BnprobeCallback("run.h5")]).train()

Written against transformers 4.40 and later. The world's first process is recorded. The trainer tells its callbacks of no exception: a run
that one ended is closed when the process ends, or when the next training begins.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bnprobe.integrations.trainers.fit import Fits


class BnprobeCallback(TrainerCallback):
    """Records each training, from its first batch to its end."""

    def __init__(self, path: Path | str = "run.h5", **options: Any) -> None:
        """Take where to record to.

        Args:
            path: the run file; a second training is recorded to ``run.2.h5``.
            options: as of ``bnprobe.record``: ``every``, ``budget``, ``overwrite``, ...

        Raises:
            UsageError: an option is unknown.
        """
        self._fits = Fits(path, options)

    @property
    def path(self) -> Path:
        """The run file of the current training, or of the last one."""
        return self._fits.path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, optimizer: Any = None, **others: Any
    ) -> None:
        """Begin: the optimizer has been built, and may be wrapped."""
        if state.is_world_process_zero:
            self._fits.begin(model, [] if optimizer is None else [getattr(optimizer, "optimizer", optimizer)])

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any) -> None:
        """End with the training."""
        self._fits.end()
