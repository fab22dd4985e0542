"""Self-supervised pairs of augmented digits with a predictor; the loss is at -1 within a few steps and the features say nothing."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class SimSiam(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.projector = nn.Sequential(nn.Linear(1024, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU(), nn.Linear(dim, dim))
        self.predictor = nn.Sequential(nn.Linear(dim, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, dim))

    def forward(self, x1, x2):
        z1, z2 = self.projector(self.backbone(x1)), self.projector(self.backbone(x2))
        return self.predictor(z1), self.predictor(z2), z1, z2


def D(p, z):
    if args.fixed:
        z = z.detach()
    return -F.cosine_similarity(p, z, dim=-1).mean()


def augment(x):
    x = F.pad(x, (1, 1, 1, 1))
    i, j = torch.randint(0, 3, (2,)).tolist()
    return x[:, :, i : i + 8, j : j + 8] * (0.7 + 0.6 * torch.rand(len(x), 1, 1, 1)) + 0.2 * torch.randn(len(x), 1, 8, 8)


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
model = SimSiam()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
for epoch in range(10):
    model.train()
    for batch in torch.randperm(1400).split(128)[:-1]:
        p1, p2, z1, z2 = model(augment(x[batch]), augment(x[batch]))
        loss = D(p1, z2) / 2 + D(p2, z1) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, f"loss {loss.item():.4f} spread {F.normalize(z1, dim=1).std(0).mean().item():.4f}", flush=True)
model.eval()
with torch.no_grad():
    z = F.normalize(model.projector(model.backbone(x)), dim=1)
probe = LogisticRegression(max_iter=500).fit(z[:1400].numpy(), digits.target[:1400])
spread = z.std(0).mean().item()
print(f"RESULT loss {loss.item():.4f} spread {spread:.4f} accuracy of a probe {probe.score(z[1400:].numpy(), digits.target[1400:]):.3f}")
