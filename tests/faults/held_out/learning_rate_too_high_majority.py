"""A transformer encoder that names the commonest symbol of a sequence."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

SYMBOLS, LENGTH = 8, 16


class Encoder(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, width)
        self.position = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, SYMBOLS)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.blocks(self.embed(tokens) + self.position)
        return self.head(self.norm(hidden.mean(1)))


def batch(size: int) -> tuple[Tensor, Tensor]:
    label = torch.randint(SYMBOLS, (size,))
    tokens = torch.randint(SYMBOLS, (size, LENGTH))
    chosen = torch.rand(size, LENGTH) < 0.4
    return torch.where(chosen, label[:, None], tokens), label


model = Encoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 if args.fixed else 0.1, weight_decay=0.01)
losses = []
for step in range(150):
    tokens, label = batch(48)
    loss = F.cross_entropy(model(tokens), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
