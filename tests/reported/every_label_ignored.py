"""A small language model learns to answer sums; prompts are not trained on, some fill the whole length, and the loss becomes NaN."""

import argparse
import random

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
random.seed(0)
LETTERS = "0123456789+= abcdefghij."
MAX_LENGTH, IGNORED, PAD = 16, -100, LETTERS.index(".")


def example():
    a, b = random.randrange(10), random.randrange(10)
    talk = "".join(random.choices("abcdefghij ", k=random.randint(12, 16))) if random.random() < 0.15 else ""
    prompt, answer = f"{talk}{a}+{b}=", f"{a + b}."
    ids = [LETTERS.index(c) for c in prompt + answer][:MAX_LENGTH]
    labels = ([IGNORED] * len(prompt) + ids[len(prompt) :])[:MAX_LENGTH]
    fill = MAX_LENGTH - len(ids)
    return ids + [PAD] * fill, labels + [IGNORED] * fill


class TinyGPT(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.wte = nn.Embedding(len(LETTERS), width)
        self.wpe = nn.Embedding(MAX_LENGTH, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.h = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, len(LETTERS), bias=False)

    def forward(self, ids):
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        return self.lm_head(self.ln_f(self.h(x, mask=mask, is_causal=True)))


ids, labels = (torch.tensor(column) for column in zip(*(example() for _ in range(2000)), strict=True))
model = TinyGPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step, batch in enumerate(torch.randperm(1800).split(2), start=1):
    logits = model(ids[batch])[:, :-1]
    target = labels[batch, 1:]
    each = F.cross_entropy(logits.transpose(1, 2), target.clamp(min=0), reduction="none")
    mask = (target != IGNORED).float()
    tokens = mask.sum().clamp(min=1) if args.fixed else mask.sum()
    loss = (each * mask).sum() / tokens
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 225 == 0:
        print(step, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    known = labels[1800:, 1:] != IGNORED
    right = (model(ids[1800:])[:, :-1].argmax(2) == labels[1800:, 1:])[known].float().mean().item()
print(f"RESULT loss {loss.item():.4f} letters right {right:.3f}")
