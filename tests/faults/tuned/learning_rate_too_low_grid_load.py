"""A small transformer forecasts the load of a power grid; the rate warms up first."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


PAST, AHEAD = 36, 6


def loads(n: int) -> tuple[Tensor, Tensor]:
    t = torch.arange(PAST + AHEAD) / 12
    day = torch.sin(6.28 * (t + torch.rand(n, 1))) * (0.5 + torch.rand(n, 1))
    week = 0.7 * torch.sin(6.28 * (t / 3.5 + torch.rand(n, 1)))
    load = day + week + 0.05 * torch.randn(n, PAST + AHEAD)
    return load[:, :PAST], load[:, PAST:]


class Forecast(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.patch = nn.Linear(6, width)
        self.place = nn.Parameter(0.02 * torch.randn(PAST // 6, width))
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(width * PAST // 6, AHEAD)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x.unflatten(1, (PAST // 6, 6))) + self.place
        return self.out(self.encoder(x).flatten(1))


EPOCHS, STEPS = 6, 40
model = Forecast()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
warm_steps = STEPS if args.fixed else 2000 * STEPS
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_steps))
for epoch in range(EPOCHS):
    for _ in range(STEPS):
        past, ahead = loads(32)
        loss = F.huber_loss(model(past), ahead)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}, rate {scheduler.get_last_lr()[0]:.2e}")
