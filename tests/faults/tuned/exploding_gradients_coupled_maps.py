"""Growth rates of a ring of coupled insect populations, fitted through an unrolled simulation."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Generation(nn.Module):
    """One generation: growth at every site, then exchange between neighbours."""

    def __init__(self, sites: int) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.full((sites,), 3.75))
        self.exchange = nn.Parameter(torch.tensor(-2.0))

    def forward(self, share: Tensor) -> Tensor:
        grown = self.rate.clamp(0.0, 4.0) * share * (1 - share)
        moved = torch.sigmoid(self.exchange)
        return (1 - moved) * grown + moved * (grown.roll(1, 1) + grown.roll(-1, 1)) / 2


SITES, LENGTH = 24, 40
truth = Generation(SITES)
with torch.no_grad():
    truth.rate.copy_(3.6 + 0.35 * torch.rand(SITES))
    truth.exchange.fill_(-3.0)
    history = [0.1 + 0.8 * torch.rand(256, SITES)]
    for _ in range(LENGTH):
        history.append(truth(history[-1]))
    counted = torch.stack(history)

model = Generation(SITES)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.99))
for step in range(250):
    rows = torch.randint(256, (32,))
    share = counted[0, rows]
    loss = torch.zeros(())
    for t in range(LENGTH):
        if args.fixed:
            share = counted[t, rows]
        share = model(share)
        loss = loss + F.mse_loss(share, counted[t + 1, rows])
    loss = loss / LENGTH
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        error = (model.rate - truth.rate).abs().mean().item()
        print(f"step {step + 1}: loss {loss.item():.6f}, error of the rates {error:.4f}")
