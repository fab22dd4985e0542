"""Rank the documents of a query: a listwise loss over lists of twelve."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

FEATURES, LIST = 20, 12
taste = torch.randn(FEATURES, 6) / FEATURES**0.5


def draw(queries: int) -> tuple[Tensor, Tensor]:
    documents = torch.randn(queries, LIST, FEATURES)
    hidden = documents @ taste
    gain = torch.sin(2 * hidden[..., :3]).sum(2) + (hidden[..., 3:] ** 2).sum(2)
    return documents, gain


class Ranker(nn.Module):
    def __init__(self, width: int = 96):
        super().__init__()
        self.document = nn.Sequential(nn.Linear(FEATURES, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.context = nn.Linear(width, width)
        self.score = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, documents: Tensor) -> Tensor:
        h = self.document(documents)
        h = h + self.context(h.mean(1, keepdim=True))
        return self.score(h).squeeze(2)


model = Ranker().to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3 if args.fixed else 0.05)
for step in range(250):
    documents, gain = draw(48)
    wanted = (2 * gain).softmax(1).to(device)
    loss = F.kl_div(model(documents.to(device)).log_softmax(1), wanted, reduction="batchmean")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    documents, gain = draw(2000)
    best = model(documents.to(device)).cpu().argmax(1)
print(f"best document found: {(best == gain.argmax(1)).float().mean().item():.3f}")
