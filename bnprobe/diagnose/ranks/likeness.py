"""What should differ between ranks and does not, their data; and what should not and does, their weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bnprobe.diagnose.ranks.remark import Remark
from bnprobe.diagnose.ranks.standing import named, number_of
from bnprobe.diagnose.wording import number
from bnprobe.store.reader import Run

#: Norms of equal weights may be summed in another order on another processor; weights that were trained apart are further apart than this.
SAME_NORM = 1e-5


def given_alike(run: Run) -> Iterator[Remark]:
    """Say which ranks were given the same batches, unless they may hold parts of one network, which is what those are for."""
    together = [group for group in run.batches if len(group) > 1]
    if not together:
        return
    group = max(together, key=len)
    numbers = [number_of(run.ranks[place]) for place in group]
    everybody = "Both ranks" if len(numbers) == 2 else f"All {len(numbers)} ranks"
    who = everybody if len(group) == len(run.ranks) else named(numbers).capitalize()
    if _may_be_parts(run, group):
        yield Remark("same-batches", "info", f"{who} were given the same batches, and hold parts of one network between them.")
        return
    text = f"{who} were given the same batches: {len(group)} processes do the work of one, and an epoch takes as long as without them."
    yield Remark("same-batches", "warning", text, "DistributedSampler(dataset) in the loader, and sampler.set_epoch(epoch) in every epoch")


def weights_apart(run: Run) -> Iterator[Remark]:
    """Say where weights differ that ranks hold alike."""
    ranks = run.ranks
    if all("together" in rank.attributes for rank in ranks):
        return  # one memory holds the weights of all: it is looked at while others write to it
    common = set.intersection(*({int(step) for step in rank["step"][rank.observed()]} for rank in ranks))
    names = [(one.name, one.shape) for one in ranks[0].parameters]
    shards = {rank_name: text for rank_name, text in zip(names, ranks[0]["parameter_shard"].tolist(), strict=True)}
    places = [{(one.name, one.shape): place for place, one in enumerate(rank.parameters)} for rank in ranks]
    comparable = [key for key in names if not shards[key] and all(key in own for own in places)]
    if not common or not comparable:
        return
    steps = sorted(common)
    rows = [np.searchsorted(rank["step"], steps) for rank in ranks]
    columns = [np.array([at[key] for key in comparable]) for at in places]
    weight = [rank["weight_norm"][np.ix_(own, of)] for rank, own, of in zip(ranks, rows, columns, strict=True)]
    low, high = np.fmin.reduce(weight), np.fmax.reduce(weight)
    with np.errstate(invalid="ignore"):
        differs = high - low > SAME_NORM * high
    found = np.argwhere(differs)
    if not found.size:
        return
    row, column = found[0]
    share = differs[row:].any(axis=0).mean()
    which = f"{comparable[column][0]}: norms from {number(float(low[row, column]))} to {number(float(high[row, column]))}"
    text = f"The ranks do not hold the same weights from step {steps[row]:,} on ({which}; {share:.0%} of the parameters are concerned)"
    if share < 1:
        yield Remark("weights-apart", "info", f"{text}. Experts of their own are meant to differ; what every rank should hold is not.")
        return
    yield Remark(
        "weights-apart",
        "warning",
        f"{text}: nothing averages their gradients, so that {len(ranks)} networks are trained, and what is merged here belongs to none.",
        "wrap the model in DistributedDataParallel and call the wrapper, not the module inside; local SGD is meant to differ",
    )


def _may_be_parts(run: Run, group: list[int]) -> bool:
    """Whether parameters are sharded and ranks that saw the same data computed different signals: tensor parallel ranks do."""
    members = [run.ranks[place] for place in group]
    if not any("S" in text for member in members for text in member["parameter_shard"].tolist()):
        return False
    common = set.intersection(*({int(step) for step in member["step"][member.observed()]} for member in members))
    if not common:
        return True
    step = max(common)
    rows = [{int(own): row for row, own in enumerate(member["step"].tolist())}[step] for member in members]
    signals = [
        {layer.name: float(value) for layer, value in zip(member.layers, member["activation_rms"][row], strict=True)}
        for member, row in zip(members, rows, strict=True)
    ]
    return any(signals[0].get(name) != value for other in signals[1:] for name, value in other.items() if value == value)
