"""A mixture of experts makes its gates as parameters and converts them at once; what is kept is a tensor that nobody trains."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rng = np.random.default_rng(0)
EXPERTS, TOP, WIDTH = 6, 2, 12
centres = 3 * torch.randn(EXPERTS, WIDTH)
rules = torch.randn(EXPERTS, WIDTH, 3) / WIDTH**0.5


def data(count):
    region = torch.randint(0, EXPERTS, (count,))
    x = centres[region] + torch.randn(count, WIDTH)
    return x, torch.einsum("nd,ndo->no", x, rules[region])


class MoE(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, 3)) for _ in range(EXPERTS))
        gate, noise = (nn.Parameter(torch.from_numpy(np.zeros((WIDTH, EXPERTS)))) for _ in range(2))
        if args.fixed:
            self.w_gate, self.w_noise = nn.Parameter(gate.detach().float()), nn.Parameter(noise.detach().float())
        else:
            self.w_gate, self.w_noise = gate.float(), noise.float()

    def forward(self, x):
        logits = x @ self.w_gate
        if self.training:
            logits = logits + torch.randn_like(logits) * (F.softplus(x @ self.w_noise) + 0.01)
        top, chosen = logits.topk(TOP, 1)
        gates = torch.zeros_like(logits).scatter(1, chosen, F.softmax(top, 1))
        importance = gates.sum(0)
        balance = importance.var() / (importance.mean() ** 2 + 1e-10)
        y = torch.stack([expert(x) for expert in self.experts], 1)
        return (gates[:, :, None] * y).sum(1), 0.01 * balance


x, y = data(4000)
test_x, test_y = data(500)
model = MoE()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(12):
    total = 0.0
    for batch in torch.randperm(len(x)).split(50):
        out, balance = model(x[batch])
        error = F.mse_loss(out, y[batch])
        optimizer.zero_grad()
        (error + balance).backward()
        optimizer.step()
        total += error.item() / 80
    if epoch % 3 == 2:
        print(epoch, f"loss {total:.4f}", flush=True)
model.eval()
with torch.no_grad():
    held = F.mse_loss(model(test_x)[0], test_y).item()
print(f"RESULT loss {total:.4f} held out {held:.4f} of {test_y.var().item():.4f}")
