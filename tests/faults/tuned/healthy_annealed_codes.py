"""A discrete autoencoder of weather patterns; its choices become sharper as it learns."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


patterns = torch.randn(10, 40)


class Codes(nn.Module):
    def __init__(self, groups: int = 4, codes: int = 8, width: int = 64):
        super().__init__()
        self.groups, self.codes = groups, codes
        self.enter = nn.Linear(40, width)
        self.choose = nn.Linear(width, groups * codes)
        self.book = nn.Linear(groups * codes, width, bias=False)
        self.out = nn.Linear(width, 40)

    def forward(self, x: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        scores = self.choose(torch.tanh(self.enter(x))).unflatten(1, (self.groups, self.codes))
        choice = F.gumbel_softmax(scores, tau=temperature, hard=temperature < 0.4)
        return self.out(torch.tanh(self.book(choice.flatten(1)))), torch.softmax(scores, dim=-1)


model = Codes()
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for step in range(300):
    x = patterns[torch.randint(10, (96,))] + 0.2 * torch.randn(96, 40)
    y, share = model(x, temperature=max(0.3, 2.0 * 0.99**step))
    used = share.mean(0)
    spread = (used * (used + 1e-8).log()).sum(1).mean()
    loss = F.mse_loss(y, x) + 0.05 * spread
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f}")
