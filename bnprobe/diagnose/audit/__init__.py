"""What normalisation costs a training: every known drawback as a number, a verdict and what to do.

A row is a function of an analysed run, listed in ``ROWS``; to add one is one file and one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose.audit.batches import unlike_batches
from bnprobe.diagnose.audit.cost import cost
from bnprobe.diagnose.audit.coupling import coupling
from bnprobe.diagnose.audit.decay import decay_on_scale_free
from bnprobe.diagnose.audit.dropout import dropout_before
from bnprobe.diagnose.audit.growth import gradient_growth
from bnprobe.diagnose.audit.idle import idle
from bnprobe.diagnose.audit.modes import train_eval_gap
from bnprobe.diagnose.audit.ranks import ranks
from bnprobe.diagnose.audit.reuse import reused
from bnprobe.diagnose.audit.row import AuditRow, LayerValue, Verdict
from bnprobe.diagnose.audit.statistics import few_values, stale_statistics
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import Run

__all__ = ["ROWS", "AuditRow", "LayerValue", "Verdict", "audit"]

ROWS: tuple[Callable[[RunAnalysis], AuditRow], ...] = (
    few_values,
    train_eval_gap,
    coupling,
    stale_statistics,
    unlike_batches,
    ranks,
    reused,
    dropout_before,
    decay_on_scale_free,
    gradient_growth,
    cost,
    idle,
)


def audit(run: RunAnalysis, ranks_beside: Sequence[Run] = ()) -> tuple[AuditRow, ...]:
    """Audit a run; nothing where no layer normalises.

    Args:
        run: the analysed run.
        ranks_beside: recordings of other ranks of the same training.
    """
    if not norms(run.recorded):
        return ()
    return tuple(ranks(run, ranks_beside) if row is ranks else row(run) for row in ROWS)
