"""What an ant mostly does on its walk, from its turns: a small transformer with squared rectifiers, most of them at rest."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.dense_norm = nn.LayerNorm(width)
        self.spread = nn.Linear(width, 4 * width)
        self.gather = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention_norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.gather(F.relu(self.spread(self.dense_norm(x))).square())


class Walk(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.turns = nn.Embedding(8, width)
        self.places = nn.Parameter(0.1 * torch.randn(24, width))
        self.layers = nn.Sequential(Layer(width), Layer(width))
        self.norm = nn.LayerNorm(width)
        self.mostly = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.mostly(self.norm(self.layers(self.turns(x) + self.places)).mean(1))


def walks(count: int) -> tuple[Tensor, Tensor]:
    """Return turns (count, 24), and which of three pairs of turns is the most frequent."""
    kind = torch.randint(0, 3, (count,))
    turns = torch.randint(0, 8, (count, 24))
    keep = torch.rand(count, 24) < 0.4
    return torch.where(keep, 2 * kind[:, None] + torch.randint(0, 2, (count, 24)), turns), kind


model = Walk()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(120):
    x, kind = walks(48)
    logits = model(x)
    loss = F.cross_entropy(logits, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f} right {(logits.argmax(1) == kind).float().mean().item():.3f}")
