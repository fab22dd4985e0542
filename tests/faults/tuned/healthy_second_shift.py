"""Learns the digits 0 to 4, then, with the same head, the digits 5 to 9 while some old ones are shown again."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="the same: nothing is wrong here")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

images, labels = digits.load()
early, late = (labels < 5).nonzero().squeeze(1), (labels >= 5).nonzero().squeeze(1)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses, hits = [], []
for step in range(240):
    pick = early[torch.randint(0, len(early), (48,))]
    if step >= 110:
        pick = torch.cat((late[torch.randint(0, len(late), (36,))], pick[:12]))
    score = model(images[pick])
    loss = F.cross_entropy(score, labels[pick])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    hits.append((score.argmax(1) == labels[pick]).float().mean().item())
    if step % 20 == 19:
        print(f"step {step}: loss {sum(losses[-20:]) / 20:.4f}, right {sum(hits[-20:]) / 20:.3f}")
