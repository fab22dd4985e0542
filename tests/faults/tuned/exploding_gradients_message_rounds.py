"""The mean vote in the neighbourhood of every node of a graph, by many rounds of the same message passing."""

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

NODES, ROUNDS = 24, 18


def graphs(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ring graphs with some chords, a vote of every node, and the mean vote around every node."""
    adjacency = torch.zeros(count, NODES, NODES)
    ring = torch.arange(NODES)
    adjacency[:, ring, (ring + 1) % NODES] = 1
    chords = torch.randint(NODES, (2, count, 4))
    adjacency[torch.arange(count)[:, None], chords[0], chords[1]] = 1
    adjacency = (adjacency + adjacency.transpose(1, 2)).clamp(max=1)
    adjacency = adjacency / adjacency.sum(2, keepdim=True)
    votes = 2.0 * torch.randint(2, (count, NODES)) - 1
    around = (votes[..., None] + 2 * adjacency @ votes[..., None] + adjacency @ adjacency @ votes[..., None])[..., 0]
    return adjacency, votes, around / 2


class Rounds(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mark = nn.Linear(1, width)
        self.own = nn.Linear(width, width, bias=False)
        self.neighbours = nn.Linear(width, width, bias=False)
        self.read = nn.Linear(width, 1)
        for layer in (self.own, self.neighbours):
            nn.init.orthogonal_(layer.weight, gain=1.0 if args.fixed else 3.0)

    def forward(self, adjacency: Tensor, votes: Tensor) -> Tensor:
        start = self.mark(votes.unsqueeze(2))
        h = torch.tanh(start)
        for _ in range(ROUNDS):
            h = torch.tanh(self.own(h) + self.neighbours(adjacency @ h) + start)
        return self.read(h).squeeze(2)


model = Rounds(32).to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(90):
    adjacency, votes, around = (t.to(device) for t in graphs(16))
    loss = F.mse_loss(model(adjacency, votes), around)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 14:
        print(f"step {step}: loss {loss.item():.4f} (variance {around.var().item():.4f})")
