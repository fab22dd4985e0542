"""A letter model whose output layer shares the weight of the embedding, which starts at N(0, 1); the first loss is in the hundreds."""

import argparse

import torch
import torch.nn.functional as F
from sklearn import datasets
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

text = " ".join(getattr(datasets, f"load_{name}")().DESCR for name in ("wine", "iris", "diabetes", "breast_cancer", "digits", "linnerud"))
letters = sorted(set(text))
data = torch.tensor([letters.index(c) for c in text])


class RetentionBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.gate, self.value, self.out = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.decay = nn.Parameter(torch.linspace(-1, 3, width))
        self.ffn = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        h = self.norm1(x)
        distance = torch.arange(x.size(1), dtype=x.dtype)
        weights = torch.sigmoid(self.decay)[:, None] ** distance
        mixed = torch.stack([(self.value(h)[:, : t + 1] * weights[:, : t + 1].flip(1).t()).sum(1) for t in range(x.size(1))], 1)
        x = x + self.out(torch.sigmoid(self.gate(h)) * mixed / 4)
        return x + self.ffn(self.norm2(x))


class LanguageModel(nn.Module):
    def __init__(self, width=96, layers=2):
        super().__init__()
        self.embed_tokens = nn.Embedding(len(letters), width)
        if args.fixed:
            nn.init.normal_(self.embed_tokens.weight, std=0.02)
        self.blocks = nn.ModuleList(RetentionBlock(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, len(letters), bias=False)
        self.lm_head.weight = self.embed_tokens.weight

    def forward(self, tokens):
        x = self.embed_tokens(tokens)
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.norm(x))


model = LanguageModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
recent = []
for step in range(250):
    at = torch.randint(0, len(data) - 25, (16,))
    window = torch.stack([data[i : i + 25] for i in at])
    loss = F.cross_entropy(model(window[:, :-1]).transpose(1, 2), window[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent[-19:], loss.item()]
    if step % 50 == 0:
        print(step, f"{loss.item():.3f}", flush=True)
print(f"RESULT loss {sum(recent) / len(recent):.3f}")
