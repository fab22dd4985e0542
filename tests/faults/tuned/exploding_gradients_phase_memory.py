"""Which of the eight tones came first: a recurrent net whose state is a set of phases."""

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

TONES, LENGTH, STATE = 8, 14, 64


class PhaseMemory(nn.Module):
    def __init__(self):
        super().__init__()
        self.tone = nn.Embedding(TONES, 16)
        self.write = nn.Linear(16, STATE)
        self.turn = nn.Linear(STATE, STATE, bias=False)
        self.read = nn.Linear(STATE, TONES)
        nn.init.orthogonal_(self.turn.weight)
        self.turn.weight.data *= 1.0 if args.fixed else 3.0

    def forward(self, tones: Tensor) -> Tensor:
        written = self.write(self.tone(tones))
        state = written.new_zeros(len(tones), STATE)
        for t in range(tones.shape[1]):
            state = torch.sin(self.turn(state) + written[:, t])
        return self.read(state)


model = PhaseMemory().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(300):
    tones = torch.randint(TONES, (64, LENGTH), device=device)
    loss = F.cross_entropy(model(tones), tones[:, 0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    tones = torch.randint(TONES, (1000, LENGTH), device=device)
    right = (model(tones).argmax(1) == tones[:, 0]).float().mean().item()
print(f"test accuracy {right:.3f}")
