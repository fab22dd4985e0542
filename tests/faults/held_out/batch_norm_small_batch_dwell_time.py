"""How long a reader stays on a page, from the sequence of pages before it."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

PAGES, LENGTH = 15, 8


class Dwell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pages = nn.Embedding(PAGES, 16)
        self.history = nn.LSTM(16, 32, batch_first=True)
        norm = nn.LayerNorm if args.fixed else nn.BatchNorm1d
        self.first, self.norm1 = nn.Linear(32, 48), norm(48)
        self.second, self.norm2 = nn.Linear(48, 48), norm(48)
        self.time = nn.Linear(48, 1)

    def forward(self, pages: Tensor) -> Tensor:
        hidden = self.history(self.pages(pages))[0][:, -1]
        hidden = F.relu(self.norm1(self.first(hidden)))
        hidden = F.relu(self.norm2(self.second(hidden)))
        return self.time(hidden).squeeze(1)


interest = torch.randn(PAGES)
fade = 0.8 ** torch.arange(LENGTH - 1, -1, -1)


def visits(size: int) -> tuple[Tensor, Tensor]:
    pages = torch.randint(PAGES, (size, LENGTH))
    return pages, (interest[pages] * fade).sum(1)


model = Dwell()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for step in range(300):
    pages, time = visits(3)
    loss = F.mse_loss(model(pages), time)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {sum(losses[-50:]) / len(losses[-50:]):.4f}")
final = sum(losses[-60:]) / 60
print(f"final loss {final:.4f}")
