"""An MLP-mixer over the patches of a digit."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class MixerLayer(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm_tokens, self.norm_width = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.width = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm_tokens(x).transpose(1, 2)).transpose(1, 2)
        return x + self.width(self.norm_width(x))


class Mixer(nn.Module):
    def __init__(self, width: int = 40, depth: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.layers = nn.Sequential(*(MixerLayer(16, width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.layers(x)).mean(1))


images, labels = digits.load()
model = Mixer()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05 if args.fixed else 8.0)
warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.2, 1.0, total_iters=20)
for epoch in range(5):
    right = 0
    for index in torch.randperm(len(images)).split(50):
        logits = model(images[index])
        loss = F.cross_entropy(logits, labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warm_up.step()
        right += int((logits.argmax(1) == labels[index]).sum())
    print(f"epoch {epoch}: loss {loss.item():.3f}, right {right / len(images):.3f}")
