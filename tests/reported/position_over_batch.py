"""Does the letter A come before the letter B: a transformer encoder that numbers the samples where it should number the positions."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
VOCAB, LENGTH = 12, 16


def batch(size):
    tokens = torch.randint(2, VOCAB, (size, LENGTH))
    places = torch.stack([torch.randperm(LENGTH)[:2] for _ in range(size)])
    tokens.scatter_(1, places, torch.tensor([0, 1]).expand(size, 2))
    return tokens, (places[:, 0] < places[:, 1]).long()


class Encoder(nn.Module):
    def __init__(self, d_model=32, heads=4, layers=2):
        super().__init__()
        self.tok_emb = nn.Embedding(VOCAB, d_model)
        self.pos_emb = nn.Embedding(512, d_model)
        layer = nn.TransformerEncoderLayer(d_model, heads, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, 2)

    def forward(self, x):
        pos = torch.arange(x.size(1)).unsqueeze(0) if args.fixed else torch.arange(x.size(0)).unsqueeze(1)
        h = self.tok_emb(x) + self.pos_emb(pos)
        return self.head(self.norm(self.encoder(h)).mean(1))


model = Encoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
recent = []
for step in range(600):
    tokens, labels = batch(64)
    loss = nn.functional.cross_entropy(model(tokens), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent[-49:], loss.item()]
    if step % 100 == 99:
        print(step, f"{sum(recent) / len(recent):.4f}", flush=True)
tokens, labels = batch(256)
with torch.no_grad():
    accuracy = (model(tokens).argmax(1) == labels).float().mean().item()
print(f"RESULT loss {sum(recent) / len(recent):.4f} accuracy {accuracy:.3f}")
