"""Visits of web pages in a week from facts about the page: Poisson rates under autocast."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Rate(nn.Module):
    """The exponential of the link, as in the paper's formula."""

    def forward(self, link: Tensor) -> Tensor:
        return torch.exp(link)


class Visits(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.facts = nn.Sequential(nn.Linear(8, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.link = nn.Linear(width, 1)
        self.rate = Rate()
        nn.init.constant_(self.link.bias, 6.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.rate(self.link(self.facts(x))).squeeze(1)


mixing = torch.randn(8)


def pages(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 8)
    popular = 6.5 + 2.4 * torch.tanh(x @ mixing / 2) + 1.5 * x[:, 0].abs()
    return x, torch.poisson(popular.clamp(max=12.0).exp())


model = Visits()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(200):
    x, visits = pages(128)
    with torch.autocast("cpu", dtype=torch.bfloat16 if args.fixed else torch.float16):
        rate = model(x)
    rate = rate.float()
    # deviance per page, weighted down where the counts are large
    loss = ((rate - visits * torch.log(rate + 1e-6) - visits + torch.xlogy(visits, visits)) / (visits + 1).sqrt()).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
