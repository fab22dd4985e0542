"""A normalising flow of coupling layers on the standardised digits."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
data = torch.tensor(load_digits().data, dtype=torch.float32)
data = data + torch.rand_like(data)
data = (data - data.mean(0)) / data.std(0)


def network(size):
    layers = nn.Sequential(nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, size))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return layers


class Coupling(nn.Module):
    def __init__(self, size, clip=1.0):
        super().__init__()
        self.log_scale, self.shift, self.clip = network(size // 2), network(size // 2), clip

    def forward(self, x):
        kept, changed = x.chunk(2, 1)
        log_scale = self.log_scale(kept)
        if args.fixed:
            log_scale = self.clip * torch.tanh(log_scale / self.clip)
        changed = changed * torch.exp(log_scale) + self.shift(kept)
        return torch.cat([changed, kept], 1), log_scale.sum(1)


class Flow(nn.Module):
    def __init__(self, size, depth):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(size) for _ in range(depth))

    def forward(self, x):
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, more = layer(x)
            log_det = log_det + more
        return x, log_det


model = Flow(64, 6)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(300):
    x = data[torch.randint(len(data), (128,))]
    z, log_det = model(x)
    loss = (0.5 * z.pow(2).sum(1) - log_det).mean() / 64
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, f"loss {loss.item():.4g}", flush=True)
print(f"RESULT loss {loss.item():.4g}")
