"""Follow a noisy signal's running mean with a recurrent net written by hand."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

LENGTH, HIDDEN = 24, 40


class Follower(nn.Module):
    def __init__(self):
        super().__init__()
        self.sense = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, HIDDEN))
        self.memory = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.norm = nn.LayerNorm(HIDDEN)
        self.tell = nn.Linear(HIDDEN, 1)
        nn.init.orthogonal_(self.memory.weight, gain=1.0 if args.fixed else 2.5)

    def forward(self, signal: Tensor) -> Tensor:
        h = signal.new_zeros(signal.shape[1], HIDDEN)
        for x in signal:
            h = torch.tanh(self.memory(h) + self.sense(x.unsqueeze(1)))
        return self.tell(self.norm(h)).squeeze(1)


model = Follower().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(200):
    signal = torch.randn(LENGTH, 64) + torch.randn(64)
    target = signal.mean(0)
    loss = (model(signal.to(device)) - target.to(device)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    signal = torch.randn(LENGTH, 2000) + torch.randn(2000)
    error = (model(signal.to(device)).cpu() - signal.mean(0)).pow(2).mean().item()
print(f"test error {error:.4f}")
