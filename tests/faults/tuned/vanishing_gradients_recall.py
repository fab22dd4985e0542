"""Recall the first token of a sequence with a recurrent cell unrolled by hand."""

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

TOKENS, LENGTH, HIDDEN = 4, 14, 48


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, HIDDEN)
        self.cell = nn.RNNCell(HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, TOKENS)
        nn.init.normal_(self.cell.weight_ih, std=0.05)
        if args.fixed:
            nn.init.orthogonal_(self.cell.weight_hh)
        else:
            nn.init.normal_(self.cell.weight_hh, std=0.02)
        nn.init.zeros_(self.cell.bias_ih)
        nn.init.zeros_(self.cell.bias_hh)

    def forward(self, tokens: Tensor) -> Tensor:
        h = torch.zeros(len(tokens), HIDDEN, device=tokens.device)
        for x in self.embed(tokens).unbind(1):
            h = self.cell(x, h)
        return self.head(h)


model = Recall().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    tokens = torch.randint(TOKENS, (32, LENGTH))
    loss = F.cross_entropy(model(tokens.to(device)), tokens[:, 0].to(device))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    tokens = torch.randint(TOKENS, (1000, LENGTH))
    right = model(tokens.to(device)).argmax(1).cpu() == tokens[:, 0]
print(f"loss {loss.item():.4f}, recalled {right.float().mean().item():.3f}")
