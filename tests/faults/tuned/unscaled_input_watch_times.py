"""Will a viewer finish the film: a recommender with tables for viewers and films, and the moment at which it was started."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

VIEWERS, FILMS, START = 40, 50, 1_650_000_000
ROWS = 12000
viewer, film = torch.randint(VIEWERS, (ROWS,)), torch.randint(FILMS, (ROWS,))
moment = START + torch.randint(86400 * 400, (ROWS,)).double()
length = torch.rand(ROWS) * 90 + 60
taste_v, taste_f = torch.randn(VIEWERS, 2), torch.randn(FILMS, 2)
season = torch.sin(2 * math.pi * (moment - START) / (86400 * 400)).float()
finished = (taste_v[viewer] * taste_f[film]).sum(1) + 1.5 * season - (length - 105) / 26 + 0.3 * torch.randn(ROWS) > 0
facts = torch.stack([moment.float(), length], 1)
if args.fixed:
    facts = torch.stack([((moment - moment.mean()) / moment.std()).float(), (length - length.mean()) / length.std()], 1)


class Recommender(nn.Module):
    def __init__(self, code: int = 12, width: int = 64):
        super().__init__()
        self.viewer, self.film = nn.Embedding(VIEWERS, code), nn.Embedding(FILMS, code)
        self.mix = nn.Sequential(nn.Linear(2 * code + 2, width), nn.LeakyReLU(0.1), nn.Linear(width, width), nn.LeakyReLU(0.1))
        self.finish = nn.Linear(width, 1)

    def forward(self, viewer: Tensor, film: Tensor, facts: Tensor) -> Tensor:
        return self.finish(self.mix(torch.cat([self.viewer(viewer), self.film(film), facts], 1))).squeeze(1)


model = Recommender().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for step in range(280):
    rows = torch.randint(10000, (128,))
    logits = model(viewer[rows].to(device), film[rows].to(device), facts[rows].to(device))
    loss = F.binary_cross_entropy_with_logits(logits, finished[rows].float().to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 28 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    logits = model(viewer[10000:].to(device), film[10000:].to(device), facts[10000:].to(device)).cpu()
print(f"test accuracy {((logits > 0) == finished[10000:]).float().mean().item():.3f}")
