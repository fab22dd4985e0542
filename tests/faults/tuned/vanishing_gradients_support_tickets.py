"""Routes support tickets to one of five teams by the words they contain."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS, TEAMS, LENGTH = 300, 5, 20


def write_tickets(count: int) -> tuple[Tensor, Tensor]:
    team = torch.randint(0, TEAMS, (count,))
    common = torch.randint(0, WORDS, (count, LENGTH))
    own = torch.randint(0, 40, (count, LENGTH)) + 40 * team.unsqueeze(1)
    return torch.where(torch.rand(count, LENGTH) < 0.4, own, common), team


class Router(nn.Module):
    def __init__(self, depth: int = 8, width: int = 96) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(WORDS, width, mode="sum")
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.team = nn.Linear(width, TEAMS)

    def forward(self, ticket: Tensor) -> Tensor:
        h = self.words(ticket) / LENGTH**0.5
        for layer in self.hidden:
            h = torch.tanh(layer(h))
        return self.team(h)


parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

tickets, teams = write_tickets(3000)
model = Router()
for layer in model.hidden:
    if args.fixed:
        nn.init.xavier_normal_(layer.weight)
    else:
        nn.init.normal_(layer.weight, std=0.03)
    nn.init.zeros_(layer.bias)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for epoch in range(6):
    order = torch.randperm(len(tickets))
    losses, right = [], 0
    for batch in order.split(64):
        score = model(tickets[batch])
        loss = F.cross_entropy(score, teams[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        right += int((score.argmax(1) == teams[batch]).sum())
    print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}, right {right / len(order):.3f}")
