"""Twelve layers of a transformer with the norm behind each block learn to turn strings round; Adam starts at its full rate."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
VOCAB, LENGTH, WIDTH, LAYERS = 12, 10, 32, 12


class PostNormEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(VOCAB, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True) for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, VOCAB)

    def forward(self, ids):
        x = self.token(ids) + self.place(torch.arange(LENGTH))
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def batch(count=16):
    """Each token is answered by the one that stands opposite."""
    ids = torch.randint(0, VOCAB, (count, LENGTH))
    return ids, ids.flip(1)


model = PostNormEncoder()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.98))
warmup = 150 if args.fixed else 1
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warmup))
for step in range(300):
    ids, target = batch()
    loss = F.cross_entropy(model(ids).transpose(1, 2), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 60 == 59:
        print(step, f"loss {loss.item():.4f}", flush=True)
ids, target = batch(200)
with torch.no_grad():
    accuracy = (model(ids).argmax(2) == target).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
