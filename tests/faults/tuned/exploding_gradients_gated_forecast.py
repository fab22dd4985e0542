"""Total inflow of a reservoir over two months of daily rain: a hand-made gated recurrent cell."""

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


class Cell(nn.Module):
    """A gate between the old state and a candidate."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.candidate_in = nn.Linear(inputs, width)
        self.candidate_state = nn.Linear(width, width, bias=False)
        self.gate_in = nn.Linear(inputs, width)
        nn.init.orthogonal_(self.candidate_state.weight, gain=1.0 if args.fixed else 5.0)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate_in(x))
        return gate * h + (1 - gate) * torch.tanh(self.candidate_in(x) + self.candidate_state(h))


class Inflow(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = Cell(2, width)
        self.read = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), self.read.in_features, device=x.device)
        for day in range(x.shape[1]):
            h = self.cell(x[:, day], h)
        return self.read(h).squeeze(1)


def weather(count: int, days: int = 40) -> tuple[Tensor, Tensor]:
    rain, warmth = torch.randn(count, days), torch.randn(count, 1) + 0.3 * torch.randn(count, days)
    weight = 0.94 ** torch.arange(days - 1, -1, -1.0)
    return torch.stack([rain, warmth], 2), (rain * weight).sum(1) / 2 + 0.5 * warmth.mean(1)


model = Inflow(32).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(130):
    x, inflow = weather(48)
    loss = F.mse_loss(model(x.to(device)), inflow.to(device))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f} (variance {inflow.var().item():.4f})")
