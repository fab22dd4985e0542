"""A training over gloo: each rank takes its share of every batch; without a launcher, one process takes all of them.

data_parallel.py [FAULT]
    healthy   nothing is wrong
    nan       rank 1 divides by zero in its backward at step 6: its loss is finite
    same      every rank is given the same share
    apart     the model is not wrapped: nothing averages gradients
    killed    rank 1 kills itself at step 12, the others raise
    nothing   rank 1 takes no part in the training at all
"""

import os
import signal
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

FAULT = sys.argv[1] if len(sys.argv) > 1 else "healthy"
STEPS, SAMPLES = 20, 16

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
if world > 1:
    dist.init_process_group("gloo")
torch.manual_seed(0)
layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
if FAULT == "apart":
    torch.manual_seed(rank)
    for layer in layers:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
alone = FAULT == "nothing" and rank == 1
model = layers if world == 1 or FAULT in ("apart", "nothing") else DistributedDataParallel(layers)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
generator = torch.Generator().manual_seed(1)
for step in range(0 if alone else STEPS):
    inputs = torch.randn(SAMPLES, 3, 8, 8, generator=generator) + torch.linspace(-1, 1, SAMPLES)[:, None, None, None]
    targets = torch.randint(0, 5, (SAMPLES,), generator=generator)
    share = slice(0, None, world) if FAULT == "same" else slice(rank, None, world)
    outputs = model(inputs[share])
    loss = nn.functional.cross_entropy(outputs, targets[share])
    if FAULT == "nan" and rank == 1 and step == 6:
        loss = loss + torch.sqrt(outputs.sum() * 0.0) * 0.0
    if FAULT == "killed" and rank == 1 and step == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
digest = sum(float(value.double().sum()) for value in layers.state_dict().values())
# One write a line: ranks share the stream.
sys.stdout.write(f"weights {rank} {digest!r}\n")
sys.stdout.flush()
if world > 1:
    del model
    dist.barrier()
    dist.destroy_process_group()
