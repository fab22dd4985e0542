"""Property of a molecule string with nn.TransformerEncoder; the tokens are (batch, length) where the layer takes (length, batch)."""

import argparse
import math

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
LENGTH, TOKENS = 20, 15


def strings(count):
    tokens = torch.randint(1, TOKENS, (count, LENGTH))
    first = tokens[:, 0]
    return tokens, (tokens[:, 1:] == first[:, None]).sum(1).float() + 0.05 * torch.randn(count)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=512):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(0)]


class TransformerRegressor(nn.Module):
    def __init__(self, d_model=32):
        super().__init__()
        self.token_encoder = nn.Embedding(TOKENS, d_model)
        self.pos_encoder = PositionalEncoding(d_model)
        self.transformer_encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(d_model, 4, 64, 0.0), 2, enable_nested_tensor=False)
        self.regressor = nn.Sequential(nn.Linear(d_model, 32), nn.Softplus(), nn.Linear(32, 1))

    def forward(self, src):
        src = src.t() if args.fixed else src
        out = self.transformer_encoder(self.pos_encoder(self.token_encoder(src) * 32**0.5))
        return self.regressor(out[0] if args.fixed else out[:, 0]).squeeze(-1)


tokens, target = strings(3000)
model = TransformerRegressor()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(8):
    total = 0.0
    for batch in torch.randperm(len(tokens)).split(50):
        loss = nn.functional.mse_loss(model(tokens[batch]), target[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(epoch, f"{total / len(tokens):.4f}", f"variance of the target {target.var().item():.3f}", flush=True)
print(f"RESULT loss {total / len(tokens):.4f} variance {target.var().item():.4f}")
