"""A small vision transformer with a long linear warm-up over several epochs; it learns, but hardly."""

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


class WarmupCosine:
    def __init__(self, optimizer, max_epoch, iters_per_epoch, init_lr, warmup_start_lr, warmup_steps):
        self.optimizer, self.max_epoch, self.iters_per_epoch = optimizer, max_epoch, iters_per_epoch
        self.init_lr, self.warmup_start_lr, self.warmup_steps = init_lr, warmup_start_lr, warmup_steps

    def step(self, cur_epoch, cur_step):
        total_cur_step = cur_epoch * self.iters_per_epoch + cur_step
        if total_cur_step < self.warmup_steps:
            done = total_cur_step if args.fixed else cur_step
            lr = self.warmup_start_lr + (self.init_lr - self.warmup_start_lr) * done / self.warmup_steps
        else:
            lr = self.init_lr * 0.5 * (1 + math.cos(math.pi * total_cur_step / (self.max_epoch * self.iters_per_epoch)))
        for group in self.optimizer.param_groups:
            group["lr"] = lr


class ViT(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.patch = nn.Linear(4, dim)
        self.pos = nn.Parameter(torch.randn(16, dim) * 0.1)
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(dim, 10)

    def forward(self, images):
        patches = F.unfold(images.unsqueeze(1), 2, stride=2).transpose(1, 2)
        return self.head(self.blocks(self.patch(patches) + self.pos).mean(1))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)
model = ViT()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
schedule = WarmupCosine(optimizer, max_epoch=14, iters_per_epoch=28, init_lr=3e-3, warmup_start_lr=1e-6, warmup_steps=300)
for epoch in range(14):
    for i, batch in enumerate(torch.randperm(1400).split(50)):
        schedule.step(epoch, i)
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 1:
        print(epoch, f"loss {loss.item():.4f} rate {optimizer.param_groups[0]['lr']:.2e}", flush=True)
with torch.no_grad():
    accuracy = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
