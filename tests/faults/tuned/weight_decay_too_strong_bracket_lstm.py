"""How deep is the nesting of a string of brackets at every place: an LSTM with a linear reader."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

OPEN, CLOSE, OTHER = 0, 1, 2


def strings(count: int, length: int = 20) -> tuple[Tensor, Tensor]:
    text = torch.empty(count, length, dtype=torch.long)
    depths = torch.empty(count, length)
    depth = torch.zeros(count)
    for t in range(length):
        sign = torch.randint(3, (count,))
        sign = torch.where((sign == CLOSE) & (depth == 0), OPEN, sign)
        sign = torch.where((sign == OPEN) & (depth == 6), CLOSE, sign)
        depth = depth + (sign == OPEN).float() - (sign == CLOSE).float()
        text[:, t], depths[:, t] = sign, depth
    return text, depths / 2 - 1


class Brackets(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.sign = nn.Embedding(3, 16)
        self.memory = nn.LSTM(16, width, batch_first=True)
        self.depth = nn.Linear(width, 1)

    def forward(self, text: Tensor) -> Tensor:
        return self.depth(self.memory(self.sign(text))[0]).squeeze(2)


model = Brackets().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-3 if args.fixed else 8.0)
for step in range(200):
    text, depths = strings(48)
    loss = (model(text.to(device)) - depths.to(device)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    text, depths = strings(1000)
    error = (model(text.to(device)).cpu() - depths).pow(2).mean().item()
print(f"test error {error:.4f} (variance {depths.var().item():.3f})")
