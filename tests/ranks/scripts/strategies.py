"""One training in several ways to spread it over ranks; without a launcher, one process that sees all samples.

strategies.py STRATEGY
    fsdp         fully_shard: every rank holds a part of each weight
    tensor       parts of the layers, DTensor: every rank sees every sample
    sequence     parts of a sequence beside parts of layers: of a norm's weight each rank has a summand of the gradient; in float32
    no_sync      DistributedDataParallel that averages at every second backward
    accelerate   prepared by accelerate
    fabric       prepared by Lightning's Fabric
"""

import os
import sys

import torch
import torch.distributed as dist
from torch import nn

STRATEGY, SAMPLES, STEPS = sys.argv[1], 16, 10
world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
is_one = world == 1

torch.set_num_threads(1)
if STRATEGY != "sequence":
    torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
if STRATEGY == "sequence":
    model = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
layers = model


def backward(loss: torch.Tensor) -> None:
    loss.backward()


if not is_one and STRATEGY in ("fsdp", "tensor", "sequence", "no_sync"):
    from torch.distributed.device_mesh import init_device_mesh

    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (world,))
    if STRATEGY == "fsdp":
        from torch.distributed.fsdp import fully_shard

        for layer in (model[0], model[2], model[4], model):
            fully_shard(layer, mesh=mesh)
    elif STRATEGY == "tensor":
        from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

        parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    elif STRATEGY == "sequence":
        from torch.distributed.tensor import Shard
        from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, SequenceParallel, parallelize_module

        plan = {"0": SequenceParallel(), "1": ColwiseParallel(input_layouts=Shard(1)), "3": RowwiseParallel()}
        parallelize_module(model, mesh, plan)
    else:
        model = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
if not is_one and STRATEGY == "accelerate":
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(model, optimizer)
    backward = accelerator.backward
elif not is_one and STRATEGY == "fabric":
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=world, strategy="ddp")
    fabric.launch()
    model, optimizer = fabric.setup(model, optimizer)
    backward = fabric.backward

generator = torch.Generator().manual_seed(1)
share = slice(None) if is_one or STRATEGY in ("tensor", "sequence") else slice(rank, None, world)
for _ in range(STEPS):
    optimizer.zero_grad()
    for last in (False, True) if STRATEGY == "no_sync" else (True,):
        inputs = torch.randn(SAMPLES, 8, generator=generator) + torch.arange(SAMPLES)[:, None] / SAMPLES
        targets = torch.randint(0, 4, (SAMPLES,), generator=generator)
        if STRATEGY == "sequence":
            inputs = torch.stack([inputs, inputs.roll(1, 0), inputs.roll(2, 0), inputs.roll(3, 0)], dim=1)
        if hasattr(model, "require_backward_grad_sync"):
            model.require_backward_grad_sync = last
        outputs = model(inputs[share])
        backward(nn.functional.cross_entropy(outputs.mean(dim=1) if STRATEGY == "sequence" else outputs, targets[share]))
    optimizer.step()
whole = [value.full_tensor() if hasattr(value, "full_tensor") else value for value in layers.state_dict().values()]
total = sum(float(value.double().sum()) for value in whole)
# One write a line: ranks share the stream.
sys.stdout.write(f"weights {rank} {total!r}\n")
sys.stdout.flush()
if not is_one:
    del model
    dist.barrier()
    dist.destroy_process_group()
