"""The next value of three mixed tides by a GRU whose state is carried on and detached between windows."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

STREAMS, WINDOW, WINDOWS = 16, 12, 150


class Tide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(1, 40, batch_first=True)
        self.level = nn.Linear(40, 1)

    def forward(self, series: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        hidden, state = self.cell(series, state)
        return self.level(hidden), state


time = torch.arange(WINDOW * WINDOWS + 1.0)
phase = 6.28 * torch.rand(STREAMS, 3, 1)
height = torch.sin(6.28 * time / torch.tensor([12.4, 25.8, 171.0])[:, None] + phase).sum(1, keepdim=True).transpose(1, 2)
# Now and then a storm lifts the water of one window.
storms = (torch.rand(STREAMS, WINDOWS, 1) < 0.02).float().repeat_interleave(WINDOW, 1) * 3
height[:, 1:] += storms

model = Tide()
optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
state, losses = None, []
for step in range(WINDOWS):
    start = step * WINDOW
    series, target = height[:, start : start + WINDOW], height[:, start + 1 : start + WINDOW + 1]
    predicted, state = model(series, state)
    state = state.detach()
    loss = F.smooth_l1_loss(predicted, target, beta=0.3)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.05)
    optimizer.step()
    losses.append(loss.item())
    if step % 25 == 0:
        print(f"window {step}: loss {loss.item():.4f}")
final = sum(losses[-30:]) / 30
print(f"final loss {final:.4f}")
