"""Finds where a burst begins in a noisy signal, with an optimizer that follows only the signs of the averaged gradient."""

import argparse
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SignDescent(torch.optim.Optimizer):
    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, near: float = 0.9, far: float = 0.98) -> None:
        super().__init__(parameters, {"lr": lr, "near": near, "far": far})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["average"] = torch.zeros_like(parameter)
                average = state["average"]
                parameter.sub_(group["lr"] * average.lerp(parameter.grad, 1 - group["near"]).sign())
                average.lerp_(parameter.grad, 1 - group["far"])


def bursts(count: int, length: int = 48) -> tuple[Tensor, Tensor]:
    start = torch.randint(16, (count,))
    time = torch.arange(length) - 2 * start[:, None]
    burst = torch.sin(0.9 * time) * torch.exp(-0.15 * time) * (time >= 0)
    return (3 * burst + 0.5 * torch.randn(count, length)).unsqueeze(1), start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = nn.Sequential(
        nn.Conv1d(1, 24, 7, padding=3),
        nn.GELU(),
        nn.Conv1d(24, 24, 7, stride=2, padding=3),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(24 * 24, 48),
        nn.GELU(),
        nn.Linear(48, 16),
    )
    optimizer = SignDescent(model.parameters(), lr=4e-4)
    for step in range(200):
        x, start = bursts(64)
        logits = model(x)
        loss = F.cross_entropy(logits, start)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 40 == 39:
            print(f"step {step}: loss {loss.item():.4f}, right {(logits.argmax(1) == start).float().mean():.3f}")


if __name__ == "__main__":
    main()
