"""Guess which weather stations will have rain, with graph convolutions over their neighbours."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

STATIONS = 60


class GraphConvolution(nn.Module):
    def __init__(self, inputs: int, outputs: int, links: Tensor):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.register_buffer("links", links)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.links @ x)


class RainNet(nn.Module):
    def __init__(self, links: Tensor):
        super().__init__()
        self.near = GraphConvolution(4, 32, links)
        self.far = GraphConvolution(32, 32, links)
        self.rain = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.rain(torch.tanh(self.far(torch.tanh(self.near(x))))).squeeze(-1)


place = torch.rand(STATIONS, 2)
near = (torch.cdist(place, place) < 0.2).float()
links = near / near.sum(1, keepdim=True)


def weather(count: int) -> tuple[Tensor, Tensor]:
    """Temperature in degrees, humidity as a share, pressure in pascals and wind; rain where the air is moist and pressure low around."""
    fields = torch.randn(count, STATIONS, 4)
    smooth = links @ fields + 0.5 * fields
    rain = (smooth[..., 1] - smooth[..., 2] + 0.5 * (links @ fields)[..., 3] > 0.3).float()
    units = torch.tensor([8.0, 0.2, 900.0, 3.0])
    middle = torch.tensor([12.0, 0.6, 101300.0, 6.0])
    return fields * units + middle, rain


days, rain = weather(600)
if args.fixed:
    middle, spread = days.mean((0, 1)), days.std((0, 1))
    days = (days - middle) / spread
model = RainNet(links).to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for epoch in range(10):
    total = 0.0
    for chosen in torch.randperm(len(days)).split(24):
        loss = F.binary_cross_entropy_with_logits(model(days[chosen].to(device)), rain[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    if epoch % 3 == 0:
        print(f"epoch {epoch}: loss {total / len(days):.4f}")
with torch.no_grad():
    right = (model(days.to(device)).cpu() > 0) == (rain > 0.5)
print(f"loss {total / len(days):.4f}, accuracy {right.float().mean().item():.3f}")
