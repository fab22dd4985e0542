"""A recurrent network spells words on; gradients are clipped to a norm of 0.001, where the rate is meant for gradients as they are."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
words = torch.randint(0, 12, (30, 10))


class Speller(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 24)
        self.lstm = nn.LSTM(24, 48, batch_first=True)
        self.out = nn.Linear(48, 12)

    def forward(self, letters):
        return self.out(self.lstm(self.embed(letters))[0])


model = Speller()
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
limit = 1.0 if args.fixed else 0.001
for step in range(250):
    batch = words[torch.randint(0, len(words), (20,))]
    loss = nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), limit)
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
