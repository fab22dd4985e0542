"""Imitates a player who walks to the goal on a board: a policy that gives the chances of the five moves."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
SIDE = 7


def games(count: int) -> tuple[Tensor, Tensor]:
    me, goal = torch.randint(0, SIDE, (2, count, 2))
    board = torch.zeros(count, 2, SIDE, SIDE)
    rows = torch.arange(count)
    board[rows, 0, me[:, 0], me[:, 1]] = 1
    board[rows, 1, goal[:, 0], goal[:, 1]] = 1
    way = goal - me
    vertical = torch.where(way[:, 0] < 0, 0, 1)
    horizontal = torch.where(way[:, 1] < 0, 2, 3)
    move = torch.where(way[:, 0].abs() >= way[:, 1].abs(), vertical, horizontal)
    return board, torch.where((way == 0).all(1), 4, move)


class Policy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Flatten(), nn.Linear(2 * SIDE * SIDE, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU())
        self.moves = nn.Linear(96, 5)

    def forward(self, board: Tensor) -> Tensor:
        return self.moves(self.look(board))

    def chances(self, board: Tensor) -> Tensor:
        return self(board).softmax(1)


policy = Policy()
optimizer = torch.optim.SGD(policy.parameters(), lr=0.1, momentum=0.9)
for step in range(300):
    board, move = games(128)
    loss = F.cross_entropy(policy(board) if args.fixed else policy.chances(board), move)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        with torch.no_grad():
            board, move = games(500)
            right = (policy.chances(board).argmax(1) == move).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.4f} as the player {right:.3f}")
