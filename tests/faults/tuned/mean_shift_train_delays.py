"""Forecasts the delay of a train from station, line and hour: learned vectors for each, joined and read by a small network."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
SIZES = (30, 12, 24)


class DelayModel(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in SIZES)
        for table in self.tables:
            nn.init.normal_(table.weight, 0.0 if args.fixed else 4.0, 0.5)
        self.fc1 = nn.Linear(3 * width, 96)
        self.fc2 = nn.Linear(96, 96)
        self.fc3 = nn.Linear(96, 96)
        self.delay = nn.Linear(96, 1)

    def forward(self, codes: Tensor) -> Tensor:
        h = torch.cat([table(codes[:, i]) for i, table in enumerate(self.tables)], dim=1)
        h = F.relu(self.fc1(h))
        h = F.relu(self.fc2(h))
        h = F.relu(self.fc3(h))
        return self.delay(h).squeeze(1)


effects = [torch.randn(size) for size in SIZES]
rush = torch.randn(SIZES[1], SIZES[2])


def journeys(n: int) -> tuple[Tensor, Tensor]:
    codes = torch.stack([torch.randint(0, size, (n,)) for size in SIZES], dim=1)
    delay = sum(effect[codes[:, i]] for i, effect in enumerate(effects)) + 0.5 * rush[codes[:, 1], codes[:, 2]]
    return codes, delay / 1.8


model = DelayModel()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
losses = []
for step in range(300):
    codes, delay = journeys(128)
    loss = F.mse_loss(model(codes), delay)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 25 == 24:
        print(f"step {step + 1}: loss {sum(losses[-25:]) / 25:.4f}")
