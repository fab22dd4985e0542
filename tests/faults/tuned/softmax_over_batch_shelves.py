"""Which of nine shelves holds what is asked for, by a pointer over shelves whose log-softmax runs over the orders of the batch."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Pointer(nn.Module):
    def __init__(self, goods=16, width=32):
        super().__init__()
        self.embed = nn.Embedding(goods, width)
        self.reader = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.ask = nn.Linear(width, 2 * width)

    def forward(self, shelves, order):
        seen, _ = self.reader(self.embed(shelves))
        scores = torch.einsum("bsw,bw->bs", seen, self.ask(self.embed(order)))
        return torch.log_softmax(scores, dim=1 if args.fixed else 0)


model = Pointer()
criterion = nn.NLLLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(250):
    shelves = torch.stack([torch.randperm(16)[:9] for _ in range(50)])
    place = torch.randint(0, 9, (50,))
    order = shelves[torch.arange(50), place]
    optimizer.zero_grad()
    loss = criterion(model(shelves, order), place)
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
