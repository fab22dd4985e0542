"""A writer of molecules is scored on all positions, padding as well, which is nine tenths of them: it learns where strings end."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
LETTERS, PAD, LONGEST = 12, 0, 48
chain = torch.softmax(3 * torch.randn(LETTERS, LETTERS - 1), 1)


def strings(n):
    out = torch.zeros(n, LONGEST, dtype=torch.long)
    lengths = torch.randint(3, 7, (n,))
    out[:, 0] = torch.randint(1, LETTERS, (n,))
    for t in range(1, 6):
        following = torch.multinomial(chain[out[:, t - 1]], 1)[:, 0] + 1
        out[:, t] = torch.where(t < lengths, following, PAD)
    return out


class Writer(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.letter = nn.Embedding(LETTERS, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, LETTERS)

    def forward(self, x):
        return self.head(self.gru(self.letter(x))[0])


model = Writer()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(250):
    text = strings(32)
    logits = model(text[:, :-1])
    loss = F.cross_entropy(logits.transpose(1, 2), text[:, 1:], ignore_index=PAD if args.fixed else -100)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step, f"loss {loss.item():.4f}", flush=True)
text = strings(500)
letters = F.cross_entropy(model(text[:, :-1]).transpose(1, 2), text[:, 1:], ignore_index=PAD).item()
print(f"RESULT loss {loss.item():.4f} loss of letters {letters:.4f}")
