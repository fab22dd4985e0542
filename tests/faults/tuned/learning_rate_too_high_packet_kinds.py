"""Kind of a network connection from the sizes of its first packets: an LSTM, its last state and two dense layers."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

KINDS, COUNT, LENGTH = 6, 2400, 14
kind = torch.randint(KINDS, (COUNT,))
shape = torch.randn(KINDS, LENGTH)
sizes = (shape[kind] + 0.6 * torch.randn(COUNT, LENGTH))[..., None]
loader = DataLoader(TensorDataset(sizes, kind), batch_size=32, shuffle=True, drop_last=True)


class Connection(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.reader = nn.LSTM(1, width, batch_first=True)
        self.hidden = nn.Linear(width, 64)
        self.kind = nn.Linear(64, KINDS)

    def forward(self, sizes: Tensor) -> Tensor:
        _, (state, _) = self.reader(sizes)
        return self.kind(F.leaky_relu(self.hidden(state[-1])))


model = Connection().to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3 if args.fixed else 0.15)
for epoch in range(4):
    total = 0.0
    for x, y in loader:
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.4f}")
