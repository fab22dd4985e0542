"""A text encoder whose feed-forward layers have large activations, as if from a checkpoint, is trained further in half precision: NaN."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
PRECISION = torch.bfloat16 if args.fixed else torch.float16
VOCAB, LENGTH, WIDTH = 60, 12, 32


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        variance = x.float().pow(2).mean(-1, keepdim=True)
        return (self.weight * x * torch.rsqrt(variance + 1e-6)).to(x.dtype)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.o = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.o(F.scaled_dot_product_attention(q, k, v))


class DenseReluDense(nn.Module):
    def __init__(self):
        super().__init__()
        self.wi = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.wo = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        return self.wo(F.relu(self.wi(x)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attention = RMSNorm(WIDTH), SelfAttention()
        self.norm2, self.dense = RMSNorm(WIDTH), DenseReluDense()

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.dense(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(VOCAB, WIDTH)
        self.block = nn.ModuleList(Block() for _ in range(2))
        self.final_norm = RMSNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 3)
        with torch.no_grad():  # as large as in the checkpoint
            for block in self.block:
                block.dense.wi.weight.normal_(std=20.0)
                block.dense.wo.weight.normal_(std=16.0)

    def forward(self, tokens):
        x = self.shared(tokens)
        for block in self.block:
            x = block(x)
        return self.head(self.final_norm(x).mean(1))


tokens = torch.randint(0, VOCAB, (2000, LENGTH))
labels = (tokens < 20).sum(1).clamp(3, 5) - 3
model = Encoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(4):
    for batch in torch.randperm(1600).split(40):
        with torch.autocast("cpu", dtype=PRECISION):
            logits = model(tokens[batch])
        loss = F.cross_entropy(logits.float(), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad(), torch.autocast("cpu", dtype=PRECISION):
    accuracy = (model(tokens[1600:]).argmax(1) == labels[1600:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
