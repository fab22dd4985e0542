"""A causal transformer over letters with tied cosine scores times forty."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

LETTERS, LENGTH, WIDTH = 26, 16, 32


class Letters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS, WIDTH)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.3)
        self.block = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH))

    def forward(self, letters: Tensor) -> Tensor:
        hidden = self.block(self.embed(letters) + self.position, src_mask=self.mask, is_causal=True)
        return 40 * F.normalize(hidden, dim=-1) @ F.normalize(self.embed.weight, dim=-1).T


rule = torch.randperm(LETTERS)


def texts(size: int) -> Tensor:
    letters = [torch.randint(LETTERS, (size,))]
    for _ in range(LENGTH):
        other = torch.rand(size) < 0.1
        letters.append(torch.where(other, torch.randint(LETTERS, (size,)), rule[letters[-1]]))
    return torch.stack(letters, 1)


model = Letters()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
losses = []
for step in range(180):
    letters = texts(32)
    loss = F.cross_entropy(model(letters[:, :-1]).flatten(0, 1), letters[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
