"""The course of a glider over the next steps: one recurrent network reads the noisy track, another rolls the forecast out."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Course(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.encoder = nn.GRU(2, width, batch_first=True)
        self.decoder = nn.GRUCell(2, width)
        self.move = nn.Linear(width, 2)

    def read(self, track: Tensor) -> Tensor:
        state = self.encoder(track)[1][0]
        return state if args.fixed else state.detach()

    def forward(self, track: Tensor, steps: int) -> Tensor:
        state, place = self.read(track), track[:, -1]
        course = []
        for _ in range(steps):
            state = self.decoder(place, state)
            place = place + self.move(state)
            course.append(place)
        return torch.stack(course, 1)


def flights(count: int, seen: int = 20, ahead: int = 6) -> tuple[Tensor, Tensor]:
    """Return noisy places on circles of unknown centre, radius and speed, and the places that follow."""
    t = torch.arange(seen + ahead)
    turn = 6.28 * torch.rand(count, 1) + (0.25 + 0.45 * torch.rand(count, 1)) * torch.where(torch.rand(count, 1) < 0.5, 1, -1) * t
    radius = 0.5 + torch.rand(count, 1)
    place = torch.stack([radius * turn.cos(), radius * turn.sin()], 2) + 0.7 * torch.randn(count, 1, 2)
    return place[:, :seen] + 0.03 * torch.randn(count, seen, 2), place[:, seen:]


model = Course()
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=8e-3)
for step in range(260):
    track, course = flights(96)
    loss = F.mse_loss(model(track, steps=6), course)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
