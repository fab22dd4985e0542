"""A training that starts its processes by itself.

children.py HOW [FAULT]
    spawn, fork   two ranks of a group by torch.multiprocessing
    hogwild       two spawned processes that train the same weights, without a group
    apart         two forked processes that train a model each
    again         the script starts itself again, as Lightning does: this process is rank 0
    records       the script trains, and starts a recording of another training
    elsewhere     the script never imports torch and starts another python that trains
    FAULT killed  rank 1 kills itself at step 12
"""

import os
import signal
import subprocess
import sys

if sys.argv[1] == "elsewhere":
    sys.exit(subprocess.run([sys.executable, __file__, "one"]).returncode)

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

HOW, FAULT = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
STEPS, SAMPLES, WORLD = 20, 16, 2
MEETING = f"file://{os.getcwd()}/meeting"


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def train(model: nn.Module, rank: int, world: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for step in range(STEPS):
        inputs = torch.randn(SAMPLES, 8, generator=generator)
        targets = inputs[:, :4].argmax(dim=1)
        if FAULT == "killed" and rank == 1 and step == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        loss = nn.functional.cross_entropy(model(inputs[rank::world]), targets[rank::world])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def tell(rank: int, model: nn.Module) -> None:
    # One write a line: ranks share the stream.
    sys.stdout.write(f"weights {rank} {sum(float(value.detach().double().sum()) for value in model.parameters())!r}\n")
    sys.stdout.flush()


def work_in_group(rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=MEETING, rank=rank, world_size=WORLD)
    layers = network()
    model = nn.parallel.DistributedDataParallel(layers)
    train(model, rank, WORLD)
    tell(rank, layers)
    del model
    dist.barrier()
    dist.destroy_process_group()


def work_on(model: nn.Module, rank: int) -> None:
    torch.set_num_threads(1)
    train(model, rank, WORLD)


def work_apart(rank: int) -> None:
    torch.set_num_threads(1)
    model = network(rank)
    train(model, 0, 1)
    tell(rank, model)


def start(target, arguments: list, method: str) -> None:
    context = mp.get_context(method)
    workers = [context.Process(target=target, args=own) for own in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    if HOW in ("spawn", "fork"):
        mp.start_processes(work_in_group, nprocs=WORLD, start_method=HOW)
    elif HOW == "hogwild":
        model = network().share_memory()
        start(work_on, [(model, rank) for rank in range(WORLD)], "spawn")
    elif HOW == "apart":
        start(work_apart, [(rank,) for rank in range(WORLD)], "fork")
    elif HOW == "one":
        work_apart(0)
    elif HOW == "records":
        work_apart(0)
        command = [sys.executable, "-m", "bnprobe", "record", "-o", "run_inner.h5", __file__, "one"]
        print("status", subprocess.run(command).returncode)
    else:
        rank = int(os.environ.setdefault("LOCAL_RANK", "0"))
        other = None
        if rank == 0:
            environment = {**os.environ, "LOCAL_RANK": "1"}
            other = subprocess.Popen([sys.executable, *sys.argv], env=environment)
        work_in_group(rank)
        if other is not None:
            other.wait()
