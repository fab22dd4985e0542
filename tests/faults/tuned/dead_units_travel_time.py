"""Travel time of a seismic wave between two points in layered rock, learnt from simulated picks."""

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


class TravelTime(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inlet = nn.Linear(4, width)
        self.middle = nn.Linear(width, width)
        self.narrow = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        for layer in (self.inlet, self.middle, self.narrow):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        if not args.fixed:
            nn.init.constant_(self.middle.bias, -6.0)  # start sparse

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.inlet(x))
        x = F.relu(self.middle(x))
        x = F.relu(self.narrow(x))
        return self.out(x).squeeze(1)


def picks(count: int) -> tuple[Tensor, Tensor]:
    a, b = 2 * torch.rand(count, 2) - 1, 2 * torch.rand(count, 2) - 1
    depth = (a[:, 1] + b[:, 1]) / 2
    speed = 1 + 0.5 * torch.tanh(4 * depth)
    return torch.cat([a, b], 1) * 1.7, 2 * (a - b).norm(dim=1) / speed


model = TravelTime(96).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(250):
    x, time = picks(128)
    loss = F.smooth_l1_loss(model(x.to(device)), time.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f}")
