"""Insurance claims with a heavy tail: deviance of a gamma model, summed over the batch, with values in the thousands."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Severity(nn.Module):
    """Logarithm of the expected claim, from numbers and a region."""

    def __init__(self) -> None:
        super().__init__()
        self.region = nn.Embedding(15, 6)
        self.net = nn.Sequential(nn.Linear(14, 48), nn.Softplus(), nn.Linear(48, 24), nn.Softplus(), nn.Linear(24, 1))

    def forward(self, numbers: Tensor, region: Tensor) -> Tensor:
        return self.net(torch.cat([numbers, self.region(region)], dim=1)).squeeze(-1)


source = torch.Generator().manual_seed(4)
tilt, level = torch.randn(8, generator=source), 0.7 * torch.randn(15, generator=source)


def claims(count: int) -> tuple[Tensor, Tensor, Tensor]:
    numbers, region = torch.randn(count, 8), torch.randint(15, (count,))
    mean = torch.exp(3.0 + 0.6 * numbers @ tilt + level[region] + 0.5 * numbers[:, 0] * numbers[:, 1])
    noise = torch.distributions.Gamma(0.7, 0.7).sample((count,))
    return numbers, region, mean * noise + 0.01


model = Severity()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
test = claims(4000)


def deviance(log_mean: Tensor, claim: Tensor) -> Tensor:
    """Negative gamma log-likelihood up to a factor, summed."""
    return (log_mean + claim * torch.exp(-log_mean)).sum()


for step in range(300):
    numbers, region, claim = claims(256)
    loss = deviance(model(numbers, region), claim)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 500.0)
    optimizer.step()
    if step % 50 == 49:
        with torch.no_grad():
            held = deviance(model(*test[:2]), test[2]) / len(test[2])
        print(f"step {step}: loss {loss.item():.1f}, held out {held:.4f} a claim")
