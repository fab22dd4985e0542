"""Rows of a digit read from left to right by a convolution and an LSTM; after batch_first was set for export it stopped learning."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class BidirectionalLSTM(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super().__init__()
        self.rnn = nn.LSTM(n_in, n_hidden, bidirectional=True, batch_first=not args.fixed)
        self.embedding = nn.Linear(n_hidden * 2, n_out)

    def forward(self, inputs):
        recurrent, _ = self.rnn(inputs)
        steps, batch, width = recurrent.size()
        return self.embedding(recurrent.reshape(steps * batch, width)).view(steps, batch, -1)


class CRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv1d(8, 32, 3, padding=1), nn.BatchNorm1d(32), nn.ReLU(True))
        self.rnn = nn.Sequential(BidirectionalLSTM(32, 32, 32), BidirectionalLSTM(32, 32, 10))

    def forward(self, columns):
        conv = self.cnn(columns).permute(2, 0, 1)
        return self.rnn(conv)[-1]


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32) / 16
x = torch.cat([x, 0.1 * torch.randn(len(x), 8, 4)], dim=2)
y = torch.tensor(digits.target)
model = CRNN()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(8):
    model.train()
    for batch in torch.randperm(1400).split(50):
        optimizer.zero_grad()
        loss = criterion(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
    print(epoch, f"loss {loss.item():.4f} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
