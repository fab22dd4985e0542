"""Sorts windows of a bearing's vibration into four states of wear with separable convolutions."""

import argparse

import torch
from torch import Tensor, nn

STATES = 4


def windows(count: int) -> tuple[Tensor, Tensor]:
    state = torch.randint(0, STATES, (count,))
    time = torch.arange(200.0)
    base = torch.sin(0.3 * time + 6.28 * torch.rand(count, 1))
    knocks = (torch.sin(0.09 * time + 6.28 * torch.rand(count, 1)) > 0.9).float() * torch.sin(1.7 * time)
    return (base + 0.9 * state.unsqueeze(1) * knocks + 0.3 * torch.randn(count, 200)).unsqueeze(1), state


def separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, inputs, 7, stride=2, padding=3, groups=inputs),
        nn.Conv1d(inputs, outputs, 1),
        nn.BatchNorm1d(outputs),
        nn.SiLU(),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    model = nn.Sequential(
        nn.Conv1d(1, 16, 9, padding=4), separable(16, 32), separable(32, 48), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(48, STATES)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if args.fixed else 1e-4, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=150)
    criterion = nn.CrossEntropyLoss()
    history = []
    for step in range(150):
        x, state = windows(32)
        loss = criterion(model(x), state)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        history.append(loss.item())
        if step % 15 == 14:
            print(f"step {step}: loss {sum(history[-15:]) / 15:.4f}")
