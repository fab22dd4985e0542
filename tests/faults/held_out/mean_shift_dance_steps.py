"""Names of dances from sequences of steps, by a deep feed-forward reader of embedded steps."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

STEPS, LENGTH, DANCES, WIDTH = 12, 10, 6, 16


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(STEPS, WIDTH)
        self.layers = nn.ModuleList([nn.Linear(LENGTH * WIDTH, 96)] + [nn.Linear(96, 96) for _ in range(5)])
        self.head = nn.Linear(96, DANCES)
        nn.init.normal_(self.embed.weight, 0.0 if args.fixed else 3.0, 0.5)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, steps: Tensor) -> Tensor:
        hidden = self.embed(steps).flatten(1)
        for layer in self.layers:
            hidden = F.relu(layer(hidden))
        return self.head(hidden)


figures = torch.randint(STEPS, (DANCES, LENGTH))


def batch(size: int) -> tuple[Tensor, Tensor]:
    dance = torch.randint(DANCES, (size,))
    free = torch.randint(STEPS, (size, LENGTH))
    return torch.where(torch.rand(size, LENGTH) < 0.6, figures[dance], free), dance


model = Reader()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
losses = []
for step in range(240):
    steps, dance = batch(64)
    loss = F.cross_entropy(model(steps), dance)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
