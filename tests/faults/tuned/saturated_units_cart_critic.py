"""Value of a cart's state under a known controller: a critic with three tanh layers, taught by discounted costs."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def drive(count: int, moments: int = 30) -> tuple[Tensor, Tensor]:
    """States (position, speed, angle, turn) and the discounted cost of the drive from there on."""
    start = torch.randn(count, 4)
    place, speed, angle, turn = start.unbind(1)
    cost = torch.zeros(count)
    for t in range(moments):
        push = (-1.0 * place - 1.2 * speed + 2.0 * angle + 0.8 * turn).clamp(-3, 3)
        speed = speed + 0.1 * push
        turn = turn + 0.1 * (torch.sin(angle) - 2.5 * angle - push * torch.cos(angle) - 0.3 * turn)
        place, angle = place + 0.1 * speed, angle + 0.1 * turn
        cost = cost + 0.93**t * (place.pow(2) + angle.pow(2)).clamp(max=8)
    return start, cost


class Critic(nn.Module):
    def __init__(self, width: int = 96):
        super().__init__()
        self.layer1, self.act1 = nn.Linear(4, width), nn.Tanh()
        self.layer2, self.act2 = nn.Linear(width, width), nn.Tanh()
        self.layer3, self.act3 = nn.Linear(width, width), nn.Tanh()
        self.value = nn.Linear(width, 1)
        for layer in (self.layer1, self.layer2, self.layer3):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5 if args.fixed else 2.0)

    def forward(self, state: Tensor) -> Tensor:
        h = self.act1(self.layer1(state))
        h = self.act2(self.layer2(h))
        return self.value(self.act3(self.layer3(h))).squeeze(1)


model = Critic().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
_, sample = drive(4000)
centre, scale = sample.mean(), sample.std()
for step in range(250):
    state, cost = drive(128)
    loss = (model(state.to(device)) - ((cost - centre) / scale).to(device)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    state, cost = drive(3000)
    error = (model(state.to(device)).cpu() - (cost - centre) / scale).pow(2).mean().item()
print(f"test error {error:.4f}")
