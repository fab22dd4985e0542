"""A matting network clamps its answer to 0..1 before the loss; where the first answers lie below 0 nothing has a slope."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIZE = 16
rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")


def scenes(n):
    centre = torch.randint(4, SIZE - 4, (n, 2, 1, 1))
    radius = torch.randint(2, 5, (n, 1, 1))
    alpha = torch.sigmoid(2.0 * (radius - ((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2).sqrt()))
    picture = alpha * 0.9 + 0.1 * torch.rand(n, SIZE, SIZE)
    return picture[:, None], alpha[:, None]


class Matting(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 16, 3, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.alpha = nn.Conv2d(16, 1, 1)
        nn.init.constant_(self.alpha.bias, -0.5)

    def forward(self, x):
        raw = self.alpha(F.relu(self.middle(F.relu(self.down(x)))))
        return raw if args.fixed else raw.clamp(0, 1)


model = Matting()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(300):
    picture, alpha = scenes(16)
    loss = F.l1_loss(model(picture), alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step, f"loss {loss.item():.4f}", flush=True)
picture, alpha = scenes(200)
found = model(picture).clamp(0, 1)
print(f"RESULT loss {loss.item():.4f} error {F.l1_loss(found, alpha).item():.4f} largest answer {found.max().item():.3f}")
