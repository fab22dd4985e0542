"""Words of three made-up languages, one file after the other, in a loader that was not told to shuffle."""

import argparse

import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
alphabets = [torch.rand(20).pow(3) for _ in range(3)]
files = [
    TensorDataset(torch.multinomial(letters, 400 * 8, replacement=True).reshape(400, 8), torch.full((400,), number))
    for number, letters in enumerate(alphabets)
]
loader = DataLoader(ConcatDataset(files), batch_size=40, shuffle=args.fixed)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(20, 16)
        self.rnn = nn.GRU(16, 32, batch_first=True)
        self.out = nn.Linear(32, 3)

    def forward(self, word):
        return self.out(self.rnn(self.letters(word))[1][0])


model = Reader()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(6):
    for step, (word, language) in enumerate(loader):
        loss = criterion(model(word), language)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"epoch {epoch} step {step}: loss {loss.item():.4f}")
