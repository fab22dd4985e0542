"""Which of twelve alarms a vibration record should raise, several at once: convolutions over time, one score an alarm."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

ALARMS, LENGTH, BATCH, STEPS = 12, 64, 32, 150
time = torch.arange(LENGTH) / LENGTH
tone = torch.sin(2 * torch.pi * torch.arange(2, 2 + 2 * ALARMS, 2)[:, None] * time)


def records() -> tuple[Tensor, Tensor]:
    raised = (torch.rand(BATCH, ALARMS) < 0.12).float()
    strength = raised * (0.7 + 0.6 * torch.rand(BATCH, ALARMS))
    return (strength @ tone + 0.3 * torch.randn(BATCH, LENGTH))[:, None].to(device), raised.to(device)


class Alarms(nn.Module):
    def __init__(self):
        super().__init__()
        self.listen = nn.Sequential(
            nn.Conv1d(1, 24, 15, padding=7),
            nn.ReLU(),
            nn.Conv1d(24, 32, 9, stride=2),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(4),
            nn.Flatten(),
        )
        self.alarm = nn.Linear(128, ALARMS)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.alarm(self.listen(x))
        return scores if args.fixed else torch.sigmoid(scores)


model = Alarms().to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
criterion = nn.BCEWithLogitsLoss()
total = 0.0
for step in range(1, STEPS + 1):
    record, raised = records()
    loss = criterion(model(record), raised)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 25 == 0:
        print(f"step {step}: loss {total / 25:.4f}")
        total = 0.0
