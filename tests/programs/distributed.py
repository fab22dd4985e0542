"""DistributedDataParallel over gloo, started by torchrun; rank 0 speaks."""

import torch
import torch.distributed as dist
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank = dist.get_rank()
model = DistributedDataParallel(small_network())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x[rank::2]), y[rank::2])
    loss.backward()
    if rank == 0:
        say_loss(loss)
        say_norms(model.module)
    shown = loss.detach()
    dist.all_reduce(shown)
    optimizer.step()
if rank == 0:
    digest(model)
# The wrapped model holds the process group: left to the end of the interpreter, gloo's threads outlive it now and then and abort.
del model
dist.barrier()  # a process that is gone takes the other, still closing its sockets, with it
dist.destroy_process_group()
