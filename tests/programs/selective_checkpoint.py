"""A checkpoint that keeps what matrix products gave and computes the rest anew; one backward can go through it."""

from functools import partial

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts


def policy(context, operation, *args, **kwargs):
    return CheckpointPolicy.MUST_SAVE if operation == torch.ops.aten.addmm.default else CheckpointPolicy.PREFER_RECOMPUTE


model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    selective = partial(create_selective_checkpoint_contexts, policy)
    loss = F.cross_entropy(checkpoint(model, x, use_reentrant=False, context_fn=selective), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
