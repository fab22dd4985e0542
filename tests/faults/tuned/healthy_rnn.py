"""A vanilla recurrent network on an adding task, clipped: its gradients come in bursts."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

LENGTH = 24


class Adder(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.rnn = nn.RNN(2, width, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(width, 1)
        nn.init.eye_(self.rnn.weight_hh_l0)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.05)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0][:, -1]).squeeze(1)


model = Adder().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    values = torch.rand(64, LENGTH)
    marks = (torch.rand(64, LENGTH) < 0.2).float()
    target = (values * marks).sum(1)
    loss = F.mse_loss(model(torch.stack([values, marks], dim=2).to(device)), target.to(device))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
