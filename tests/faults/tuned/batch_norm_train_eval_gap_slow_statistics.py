"""Estimates the damping of an oscillator from a recording, with normalisation whose averages are long."""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


def oscillations(count: int) -> tuple[Tensor, Tensor]:
    time = torch.linspace(0, 6, 64)
    damping = 0.1 + 0.9 * torch.rand(count, 1)
    pitch = 2 + 3 * torch.rand(count, 1)
    wave = torch.exp(-damping * time) * torch.sin(pitch * time + 6.28 * torch.rand(count, 1))
    return 1.5 * (wave + 0.05 * torch.randn(count, 64)).unsqueeze(1), (damping.squeeze(1) - 0.55) / 0.26


def block(inputs: int, outputs: int, memory: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, 5, stride=2, padding=2),
        nn.BatchNorm1d(outputs, momentum=memory),
        nn.Mish(),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    memory = 0.1 if args.fixed else 0.0015
    model = nn.Sequential(
        block(1, 16, memory),
        block(16, 24, memory),
        block(24, 32, memory),
        nn.Flatten(),
        nn.Linear(256, 1),
        nn.Flatten(0),
    )
    loader = DataLoader(TensorDataset(*oscillations(1536)), batch_size=48, shuffle=True)
    new_x, new_y = oscillations(512)
    optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
    for epoch in range(6):
        model.train()
        total = 0.0
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(loader)
        model.eval()
        with torch.no_grad():
            held = nn.functional.mse_loss(model(new_x), new_y)
        print(f"epoch {epoch}: training {total:.4f}, new recordings {held:.4f}")


if __name__ == "__main__":
    main()
