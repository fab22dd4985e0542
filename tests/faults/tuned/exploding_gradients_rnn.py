"""A vanilla recurrent network that sums what it reads; the recurrent weights are drawn wide."""

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

LENGTH = 40


class Adder(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.rnn = nn.RNN(2, width, batch_first=True)
        self.out = nn.Linear(width, 1)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=1.0 if args.fixed else 2.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0][:, -1]).squeeze(1)


model = Adder().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
for step in range(150):
    values = torch.rand(64, LENGTH)
    marks = torch.zeros(64, LENGTH)
    marks[:, -5:] = (torch.rand(64, 5) < 0.5).float()
    target = (values * marks).sum(1)
    loss = F.mse_loss(model(torch.stack([values, marks], dim=2).to(device)), target.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4g}")
