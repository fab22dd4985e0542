"""Own attention for sentences of different length, loss NaN from the first step on."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
PAD = 0


class ScaledDotProductAttention(nn.Module):
    def forward(self, q, k, v, attn_mask):
        attn = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        attn = attn.masked_fill(attn_mask, -float("inf"))
        return torch.softmax(attn, dim=2) @ v


class EncoderLayer(nn.Module):
    def __init__(self, d_model, d_inner):
        super().__init__()
        self.w_q, self.w_k, self.w_v = (nn.Linear(d_model, d_model) for _ in range(3))
        self.attention = ScaledDotProductAttention()
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.ffn = nn.Sequential(nn.Linear(d_model, d_inner), nn.ReLU(), nn.Linear(d_inner, d_model))

    def forward(self, x, attn_mask):
        x = self.norm1(x + self.attention(self.w_q(x), self.w_k(x), self.w_v(x), attn_mask))
        return self.norm2(x + self.ffn(x))


class Encoder(nn.Module):
    def __init__(self, vocabulary=12, d_model=32):
        super().__init__()
        self.emb = nn.Embedding(vocabulary, d_model, padding_idx=PAD)
        self.layers = nn.ModuleList(EncoderLayer(d_model, 64) for _ in range(2))
        self.out = nn.Linear(d_model, 2)

    def forward(self, tokens):
        pad = tokens == PAD
        attn_mask = pad.unsqueeze(1).expand(-1, tokens.shape[1], -1)
        if not args.fixed:
            attn_mask = attn_mask | pad.unsqueeze(2)
        x = self.emb(tokens)
        for layer in self.layers:
            x = layer(x, attn_mask)
        keep = (~pad).unsqueeze(2).float()
        return self.out((x * keep).sum(1) / keep.sum(1))


def sentences(count, length=10):
    """Returns padded sentences, and whether each has more of token 1 than of token 2."""
    tokens = torch.randint(1, 12, (count, length)).where(torch.rand(count, length) < 0.4, torch.randint(1, 3, (count, length)))
    tokens[torch.arange(length) >= torch.randint(3, length + 1, (count, 1))] = PAD
    return tokens, ((tokens == 1).sum(1) > (tokens == 2).sum(1)).long()


model = Encoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(700):
    tokens, labels = sentences(64)
    loss = F.cross_entropy(model(tokens), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(step, f"loss {loss.item():.4f}", flush=True)
tokens, labels = sentences(1000)
with torch.no_grad():
    accuracy = (model(tokens).argmax(1) == labels).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
