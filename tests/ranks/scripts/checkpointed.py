"""A data parallel training over gloo that keeps a checkpoint every 20 steps and goes on from it.

checkpointed.py [FAULT]
    killed    rank 1 kills itself at step 27, when the first steps are on the disk; the others raise
"""

import os
import signal
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
STEPS, SAMPLES, KEPT_EVERY, LONG_STEP, DEATH = 50, 16, 20, 24, 27
#: Longer than the recorder waits for its next burst.
BURST_IS_DUE_SECONDS = 2.5

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
world, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
dist.init_process_group("gloo")
torch.manual_seed(0)
layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
model = DistributedDataParallel(layers)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
first = 0
if os.path.exists("checkpoint.pt"):
    kept = torch.load("checkpoint.pt")
    layers.load_state_dict(kept["layers"])
    optimizer.load_state_dict(kept["optimizer"])
    first = kept["step"]
for step in range(first, STEPS):
    inputs = torch.randn(SAMPLES, 8, generator=torch.Generator().manual_seed(step))
    targets = inputs[:, :4].argmax(dim=1)
    if FAULT == "killed" and rank == 1 and step == LONG_STEP:
        time.sleep(BURST_IS_DUE_SECONDS)
    if FAULT == "killed" and rank == 1 and step == DEATH:
        os.kill(os.getpid(), signal.SIGKILL)
    loss = nn.functional.cross_entropy(model(inputs[rank::world]), targets[rank::world])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if rank == 0 and (step + 1) % KEPT_EVERY == 0:
        torch.save({"layers": layers.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, "writing.pt")
        os.replace("writing.pt", "checkpoint.pt")
digest = sum(float(value.double().sum()) for value in layers.state_dict().values())
# One write a line: ranks share the stream.
sys.stdout.write(f"weights {rank} {digest!r}\n")
sys.stdout.flush()
del model
dist.barrier()
dist.destroy_process_group()
