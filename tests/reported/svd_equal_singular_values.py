"""The turn of a cloud of points is a matrix projected to a rotation by its singular vectors; weights are NaN after one step."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
shape = torch.randn(10, 3)


def random_rotation(count):
    q, r = torch.linalg.qr(torch.eye(3) + 0.5 * torch.randn(count, 3, 3))
    q = q * torch.diagonal(r, dim1=1, dim2=2).sign()[:, None, :]
    q[:, :, 2] *= torch.linalg.det(q)[:, None]
    return q


class RotationNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(30, 128), nn.LeakyReLU(), nn.Linear(128, 128), nn.LeakyReLU())
        self.matrix = nn.Linear(128, 9)
        nn.init.zeros_(self.matrix.weight)
        with torch.no_grad():
            self.matrix.bias.copy_(torch.eye(3).flatten())
        self.safety = torch.diag(torch.tensor([0.0, 0.1, 0.2]))

    def forward(self, points):
        a = self.matrix(self.body(points.flatten(1))).view(-1, 3, 3)
        if args.fixed:
            a = a + self.safety
        u, _, vh = torch.linalg.svd(a)
        flip = torch.ones(len(a), 3)
        flip[:, 2] = torch.linalg.det(u @ vh).detach()
        return u @ (flip[:, :, None] * vh)


model = RotationNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for iteration in range(500):
    truth = random_rotation(64)
    points = shape @ truth.transpose(1, 2) + 0.02 * torch.randn(64, 10, 3)
    loss = (model(points) - truth).pow(2).sum((1, 2)).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if iteration % 100 == 99:
        print(iteration, f"loss {loss.item():.4f}", flush=True)
    if not torch.isfinite(model.matrix.bias).all():
        break
print(f"RESULT loss {loss.item():.4f} finite weights {torch.isfinite(model.matrix.bias).all().item()} steps {iteration + 1}")
