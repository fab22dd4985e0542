"""Two views of a digit in one space, as CLIP does it; the loss stays just below the logarithm of the batch size."""

import argparse
import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class TwoTowers(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.image = nn.Sequential(nn.Linear(32, 96), nn.ReLU(), nn.Linear(96, width))
        self.text = nn.Sequential(nn.Linear(32, 96), nn.ReLU(), nn.Linear(96, width))
        self.logit_scale = math.log(1 / 0.07) if args.fixed else 0.0

    def forward(self, image, text):
        image, text = F.normalize(self.image(image), dim=1), F.normalize(self.text(text), dim=1)
        return math.exp(self.logit_scale) * image @ text.t()


x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
upper, lower = x[:, :32], x[:, 32:]
model = TwoTowers()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
for epoch in range(25):
    for batch in torch.randperm(1400)[:1344].split(64):
        logits = model(upper[batch], lower[batch])
        labels = torch.arange(len(batch))
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        print(epoch, f"loss {loss.item():.4f}", f"ln 64 = {math.log(64):.4f}", flush=True)
with torch.no_grad():
    logits = model(upper[1400:1464], lower[1400:1464])
found = (logits.argmax(1) == torch.arange(64)).float().mean().item()
print(f"RESULT loss {loss.item():.4f} found {found:.3f}")
