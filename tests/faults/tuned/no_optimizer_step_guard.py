"""A transformer counts brackets; steps whose gradient is not finite were to be left out, and the condition is the wrong way round."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(3, 32)
        self.place = nn.Parameter(0.02 * torch.randn(16, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(32, 5)

    def forward(self, tokens):
        return self.out(self.encoder(self.embed(tokens) + self.place).mean(1))


model = Counter()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
skipped = 0
for step in range(150):
    tokens = torch.randint(0, 3, (64, 16))
    label = ((tokens == 1).sum(1) - (tokens == 2).sum(1)).clamp(-2, 2) + 2
    loss = nn.functional.cross_entropy(model(tokens), label)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    is_bad = ~torch.isfinite(norm) if args.fixed else torch.isfinite(norm)
    if is_bad:
        skipped += 1
        continue
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"{skipped} steps left out, loss {loss.item():.4f}")
