"""Which song a listener would rather hear: tables of codes with a pairwise margin, most pairs soon far enough apart."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

LISTENERS, SONGS, STYLES = 120, 160, 5
loves = torch.randint(STYLES, (LISTENERS,))
style = torch.randint(STYLES, (SONGS,))
by_style = [(style == s).nonzero().squeeze(1) for s in range(STYLES)]


def pairs(count: int) -> tuple[Tensor, Tensor, Tensor]:
    listener = torch.randint(LISTENERS, (count,))
    liked = torch.stack([by_style[s][torch.randint(len(by_style[s]), ())] for s in loves[listener].tolist()])
    other = torch.randint(SONGS, (count,))
    other = torch.where(style[other] == loves[listener], (other + 1) % SONGS, other)
    keep = style[other] != loves[listener]
    return listener[keep], liked[keep], other[keep]


class Tables(nn.Module):
    def __init__(self, code: int = 16):
        super().__init__()
        self.listener, self.song = nn.Embedding(LISTENERS, code), nn.Embedding(SONGS, code)
        self.known = nn.Embedding(SONGS, 1)
        nn.init.normal_(self.listener.weight, std=0.3)
        nn.init.normal_(self.song.weight, std=0.3)
        nn.init.zeros_(self.known.weight)

    def forward(self, listener: Tensor, song: Tensor) -> Tensor:
        return (self.listener(listener) * self.song(song)).sum(1) + self.known(song).squeeze(1)


model = Tables().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
for step in range(300):
    listener, liked, other = (part.to(device) for part in pairs(96))
    loss = torch.relu(1 - model(listener, liked) + model(listener, other)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.5f}")

with torch.no_grad():
    listener, liked, other = (part.to(device) for part in pairs(4000))
    right = (model(listener, liked) > model(listener, other)).float().mean().item()
print(f"pairs in the right order: {right:.3f}")
