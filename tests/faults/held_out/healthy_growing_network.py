"""A progressively grown classifier: deeper blocks wait behind a closed gate and are faded in one by one."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Growing(nn.Module):
    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.GroupNorm(4, width), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()) for _ in range(blocks)]
        )
        self.read = nn.Linear(width * 4, 10)
        self.register_buffer("open", torch.zeros(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(x))
        for gate, block in zip(self.open, self.blocks, strict=True):
            x = x + gate * block(x)
        return self.read(F.adaptive_avg_pool2d(x, 2).flatten(1))


images, labels = digits.load()
model = Growing(16, 4)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(240):
    for k in range(4):
        model.open[k] = min(max((step - 40 * k - 20) / 30, 0.0), 1.0)
    rows = torch.randint(0, 1400, (64,))
    loss = F.cross_entropy(model(images[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    right = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean()
print(f"accuracy on pictures not seen: {right.item():.3f}")
