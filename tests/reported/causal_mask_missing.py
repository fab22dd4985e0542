"""A decoder that writes digits in order: during training it may see the answer it has to write, and at use it writes nonsense."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
START, SOURCE, TARGET = 10, 6, 6


def batch(count):
    source = torch.randint(0, 10, (count, SOURCE))
    return source, source.sort(dim=1).values


class Decoder(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.embed = nn.Embedding(11, width)
        self.source_position = nn.Parameter(0.1 * torch.randn(SOURCE, width))
        self.target_position = nn.Parameter(0.1 * torch.randn(TARGET + 1, width))
        layer = nn.TransformerDecoderLayer(width, 4, 96, 0.0, batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, 2)
        self.head = nn.Linear(width, 10)

    def forward(self, source, target):
        memory = self.embed(source) + self.source_position
        x = self.embed(target) + self.target_position[: target.size(1)]
        mask = nn.Transformer.generate_square_subsequent_mask(target.size(1)) if args.fixed else None
        return self.head(self.decoder(x, memory, tgt_mask=mask))


def write(model, source):
    out = torch.full((len(source), 1), START)
    for _ in range(TARGET):
        out = torch.cat([out, model(source, out)[:, -1:].argmax(-1)], 1)
    return out[:, 1:]


model = Decoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(600):
    source, target = batch(64)
    shifted = torch.cat([torch.full((64, 1), START), target[:, :-1]], 1)
    loss = F.cross_entropy(model(source, shifted).transpose(1, 2), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(step, f"{loss.item():.4f}", flush=True)
model.eval()
with torch.no_grad():
    source, target = batch(200)
    right = (write(model, source) == target).float().mean().item()
print(f"RESULT loss {loss.item():.4f} digits written right {right:.3f}")
