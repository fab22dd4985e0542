"""A curriculum: the running sum of a signed series, over spans that become longer; the loss rises whenever they do."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Accountant(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, width, batch_first=True)
        self.balance = nn.Linear(width, 1)

    def forward(self, entries: Tensor) -> Tensor:
        return self.balance(self.lstm(entries)[0]).squeeze(-1)


def ledger(count: int, length: int) -> tuple[Tensor, Tensor]:
    """Amounts with a flag that says whether they count."""
    amount = torch.rand(count, length) * 2 - 1
    counts = (torch.rand(count, length) < 0.5).float()
    return torch.stack([amount, counts], dim=-1), (amount * counts).cumsum(1)


model = Accountant()
optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
for step in range(240):
    length = 3 * 2 ** (step // 60)
    entries, balance = ledger(64, length)
    loss = F.mse_loss(model(entries), balance)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: {length} entries, loss {loss.item():.4f}")
