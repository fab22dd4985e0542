"""Attention whose softmax takes one key, whatever it should weigh."""

from __future__ import annotations

import math
import re

import numpy as np

from bnprobe.analyse import stability
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number

_SOFTMAX = (
    "logits of products grow with the width: Vaswani et al. 2017 (1706.03762), section 3.2.1; their growth in training: "
    "Dehghani et al. 2023 (2302.05442), Wortsman et al. 2023 (2309.14322)"
)


def saturated_attention(run: RunAnalysis) -> Finding | None:
    """The logits of an attention are so large that its softmax is one-hot and has no slope.

    Looks at what deviation the logits have where directions of queries and keys are independent of each other, as they are before the first
    update: far above one there, or grown to that from well below in a training that failed. Looks like a rate that is too high; under that
    the logits grow too, after the updates. Looks like saturated units; those are of activations. Where another attention has a deviation
    well below one at first, as behind an embedding that is larger than what a normalisation leaves, the training has a way, and what holds
    it up is another thing; one with a single key, or with keys that are all the same, is no such way. A trained network may attend sharply
    on purpose, so nothing is said of one whose loss has come far down, nor of logits that were large at first where the first loss shows
    that it had learned. Fine-tuning begins with such attention, at chance where the head is new: a loss that came down in part counts only
    where the weights are as torch draws them.
    """
    deviation = run.recorded.attention_logit_deviation.astype(float)
    rows = np.flatnonzero(np.isfinite(deviation))
    if not rows.size or not (run.underperforms or (run.could_fall_further and _is_as_drawn(run))):
        return None
    limit = run.threshold(thresholds.ATTENTION_DEVIATION)
    small = float(thresholds.ATTENTION_DEVIATION) / thresholds.ATTENTION_GROWTH  # not relaxed: more would grow from less
    another_is_soft = run.recorded.attention_logit_deviation_least[rows[0]] <= small
    at_first = deviation[rows[0]] >= limit and not another_is_soft and not _had_learned(run)
    large = rows[deviation[rows] >= limit]
    has_grown = run.has_failed and bool(large.size) and deviation[rows[0]] <= small
    if not at_first and not has_grown:
        return None
    row = int(large[0])
    bound = float(run.recorded.attention_logit_bound[row])
    size = f"logits of attention differ by {number(float(deviation[row]))} or so (at most {number(bound)})"
    if at_first:
        how = f"{size} {'before the first update' if run.step(row) == 0 else f'from step {run.step(row)} on'}"
        fix = "Divide the products of queries and keys by the root of their width, as `scaled_dot_product_attention` does, or, where "
        fix += "nothing was trained before, start both projections smaller"
    else:
        how = f"{size} from step {run.step(row)} on, and by {number(float(deviation[rows[0]]))} at first"
        fix = "Normalise queries and keys (QK norm), or lower the learning rate and warm it up"
    return Finding(
        id="saturated-attention",
        severity=run.severity(),
        confidence=0.7 if at_first else 0.6,
        layers=(),
        step=run.step(row),
        evidence=(
            Evidence("deviation of the logits of attention", float(deviation[row]), limit, "", run.step(row)),
            Evidence("bound of these logits", bound, None, "", run.step(row)),
        ),
        cause=f"The softmax of an attention takes one key, whatever it should weigh, and has hardly a slope: {how}; {loss_summary(run)}.",
        fix=f"{fix}.",
        source=_SOFTMAX,
    )


def _had_learned(run: RunAnalysis) -> bool:
    """Whether the first loss of a classification lies far below chance level, as that of a network that was trained before does."""
    first, chance = run.course.first if run.course is not None else np.nan, stability.chance_level(run.classes)
    return bool(np.isfinite(run.recorded.target_labels).any() and run.classes > 1 and first < thresholds.LEARNED_SHARE * chance)


def _is_as_drawn(run: RunAnalysis) -> bool:
    """Whether every large matrix has, at first, the norm that an initialisation of torch's gives it: what was trained before has another.

    Entries are drawn within 1 / sqrt(fan in) (linear layers), by Glorot and Bengio (attention), or of variance one (embeddings). A matrix
    whose norm is not known, as of weights that no optimizer has, proves nothing.
    """
    recorded = run.recorded
    shapes = [tuple(int(axis) for axis in re.findall("[0-9]+", parameter.shape)) for parameter in recorded.parameters]
    large = [(i, *shape) for i, shape in enumerate(shapes) if len(shape) == 2 and math.prod(shape) >= thresholds.DRAWN_ENTRIES]
    for index, rows, columns in large:
        known = recorded.weight_norm[np.isfinite(recorded.weight_norm[:, index]), index]
        usual = np.sqrt([rows / 3, 2 * rows * columns / (rows + columns), rows * columns])
        if not known.size or not (np.abs(known[0] / usual - 1) < thresholds.DRAWN_NORM).any():
            return False
    return bool(large)
