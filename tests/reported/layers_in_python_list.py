"""Three arms of a spiral and as many hidden layers as the options say; the network learns little."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
options = {"n_layers": 4, "n_hid": 24, "act": nn.Tanh}


class SpiralNet(nn.Module):
    def __init__(self, options):
        super().__init__()
        hids = []
        in_dim = 2
        for _ in range(options["n_layers"]):
            hids.append(nn.Sequential(nn.Linear(in_dim, options["n_hid"]), options["act"]()))
            in_dim = options["n_hid"]
        self.hids = nn.ModuleList(hids) if args.fixed else hids
        self.classifier = nn.Linear(options["n_hid"], 3)

    def forward(self, x):
        for hid in self.hids:
            x = hid(x)
        return self.classifier(x)


def spiral(count):
    arm = torch.randint(0, 3, (count,))
    radius = torch.rand(count)
    angle = radius * 5 + arm * 2 * torch.pi / 3 + torch.randn(count) * 0.1
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1) * 2, arm


x, y = spiral(900)
x_test, y_test = spiral(600)
model = SpiralNet(options)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(60):
    for batch in torch.randperm(900).split(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
    if epoch % 12 == 11:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
