"""A run that was stopped goes on from its checkpoint; the checkpoint holds the weights and not the state of Adam."""

import argparse
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
x = torch.randn(4000, 24)
teacher = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 8))
with torch.no_grad():
    y = 3 * teacher(x)
checkpoint = Path(tempfile.mkdtemp()) / "last.pt"


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(24, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU())
        self.head = nn.Linear(256, 8)

    def forward(self, x):
        return self.head(self.backbone(x))


def train(steps, resume=False):
    model = Heads()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.9999))
    if resume:
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        if args.fixed:
            optimizer.load_state_dict(saved["optimizer"])
    losses = []
    for step in range(steps):
        batch = torch.randint(0, len(x), (128,))
        loss = F.mse_loss(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 200 == 199:
            print(step, f"loss {sum(losses[-50:]) / 50:.5f}", flush=True)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, checkpoint)
    return losses


before = train(1200)
print("resumed", flush=True)
after = train(600, resume=True)
print(f"RESULT loss before {sum(before[-50:]) / 50:.5f} worst after {max(after[:50]):.5f} end {sum(after[-50:]) / 50:.5f}")
