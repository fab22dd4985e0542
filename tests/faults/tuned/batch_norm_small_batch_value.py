"""Learns the value of states of a small control task from a handful of transitions at a time."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
GAMMA = 0.9
dynamics = 0.9 * torch.linalg.qr(torch.randn(5, 5))[0]


def transitions(n: int) -> tuple[Tensor, Tensor, Tensor]:
    state = torch.randn(n, 5)
    return state, state[:, :1] * state[:, 1:2] + state[:, 2:3], state @ dynamics.T


def block(inputs: int, outputs: int) -> list[nn.Module]:
    norm = nn.LayerNorm(outputs) if args.fixed else nn.BatchNorm1d(outputs)
    return [nn.Linear(inputs, outputs), norm, nn.ReLU()]


def network() -> nn.Sequential:
    return nn.Sequential(*block(5, 64), *block(64, 64), nn.Linear(64, 1))


value, target = network(), network()
target.load_state_dict(value.state_dict())
optimizer = torch.optim.Adam(value.parameters(), lr=2e-3)
average = 0.0
for step in range(300):
    state, reward, following = transitions(3)
    with torch.no_grad():
        goal = reward + GAMMA * target(following)
    loss = nn.functional.smooth_l1_loss(value(state), goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(target.parameters(), value.parameters(), strict=True):
            slow.lerp_(fast, 0.02)
    average = loss.item() if step == 0 else 0.98 * average + 0.02 * loss.item()
    if step % 50 == 49:
        print(f"step {step + 1}: temporal difference loss {average:.4f}")
