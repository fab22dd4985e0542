"""``BnprobeCallback`` for Lightning's Trainer.

    from bnprobe.integrations.trainers.lightning import BnprobeCallback

    Trainer(callbacks=[BnprobeCallback("run.h5")]).fit(module, loader)

Written against Lightning 2.2 and later, as ``lightning`` or as ``pytorch_lightning``. Rank 0 is recorded.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnprobe.integrations.trainers.fit import Fits

if TYPE_CHECKING or find_spec("lightning"):
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    from pytorch_lightning import Callback, LightningModule, Trainer


class BnprobeCallback(Callback):
    """Records each fit, from its first training batch to its end."""

    def __init__(self, path: Path | str = "run.h5", **options: Any) -> None:
        """Take where to record to.

        Args:
            path: the run file; a second fit is recorded to ``run.2.h5``.
            options: as of ``bnprobe.record``: ``every``, ``budget``, ``overwrite``, ...

        Raises:
            UsageError: an option is unknown.
        """
        super().__init__()
        self._fits = Fits(path, options)

    @property
    def path(self) -> Path:
        """The run file of the current fit, or of the last one."""
        return self._fits.path

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin: the optimizers have been built, and the sanity check of the validation is over."""
        if trainer.is_global_zero:
            self._fits.begin(pl_module, trainer.optimizers)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End with the fit."""
        self._fits.end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End with what ended the fit."""
        self._fits.end(exception)
