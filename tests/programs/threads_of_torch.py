"""Train with two threads of torch's own, or so that torch never starts them and a forked child may."""

import hashlib
import os
import sys

os.environ["OMP_NUM_THREADS"] = "2"

import torch
from torch import nn

torch.manual_seed(0)


class Scale(nn.Module):
    """Too few numbers at a time for more than one thread."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def train(model: nn.Module, inputs: torch.Tensor) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(4):
        optimizer.zero_grad()
        loss = model(inputs).square().mean()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))
    print([hashlib.sha256(parameter.detach().numpy().tobytes()).hexdigest() for parameter in model.parameters()])


if sys.argv[1] == "many":
    convolutions = [nn.Conv2d(3, 32, 3), nn.ReLU(inplace=True), nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten()]
    train(nn.Sequential(*convolutions, nn.Linear(64 * 28 * 28, 128)), torch.randn(16, 3, 32, 32))
else:
    tiny = [Scale(4000) for _ in range(60)]
    train(nn.Sequential(*tiny), torch.randn(4, 4000) * (1.0 if sys.argv[1] == "one" else 1e-20))
    child = os.fork()
    if child == 0:
        torch.randn(1_000_000).exp_()  # waits for ever for threads that only the parent has, if it has any
        os._exit(0)
    print("child", os.waitpid(child, 0)[1])
