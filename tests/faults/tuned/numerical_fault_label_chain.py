"""Tags the phases of a manufacturing run with a linear chain over a small convolution; the runs get longer."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
TAGS = 5


class ChainTagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 32, 5, padding=2)
        self.scores = nn.Conv1d(32, TAGS, 1)
        self.jumps = nn.Parameter(torch.zeros(TAGS, TAGS))

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(torch.relu(self.conv(x))).transpose(1, 2)

    def log_partition(self, scores: Tensor) -> Tensor:
        if args.fixed:
            alpha = scores[:, 0]
            for t in range(1, scores.shape[1]):
                alpha = torch.logsumexp(alpha[:, :, None] + self.jumps, dim=1) + scores[:, t]
            return torch.logsumexp(alpha, dim=1)
        alpha, jumps = scores[:, 0].exp(), self.jumps.exp()
        for t in range(1, scores.shape[1]):
            alpha = alpha @ jumps * scores[:, t].exp()
        return alpha.sum(dim=1).log()

    def loss(self, x: Tensor, tags: Tensor) -> Tensor:
        scores = self(x)
        path = scores.gather(2, tags[:, :, None]).sum(dim=(1, 2)) + self.jumps[tags[:, :-1], tags[:, 1:]].sum(dim=1)
        return ((self.log_partition(scores) - path) / x.shape[2]).mean()


levels = torch.randn(TAGS, 3)


def runs(n: int, length: int) -> tuple[Tensor, Tensor]:
    change = (torch.rand(n, length) < 0.15).long().cumsum(dim=1)
    tags = (torch.randint(TAGS, (n, 1)) + change) % TAGS
    return (levels[tags] + 0.9 * torch.randn(n, length, 3)).transpose(1, 2), tags


model = ChainTagger()
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for step in range(120):
    loss = model.loss(*runs(24, 16 + step // 2))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f}")
