"""Notes are told rising, falling or a wave by the last states of both directions, viewed and not transposed; nothing is learned."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Melodies(Dataset):
    def __init__(self, count, length=15):
        self.kind = torch.randint(0, 3, (count,))
        time = torch.linspace(-1, 1, length)
        shapes = torch.stack([time, -time, (torch.pi * time).cos()])
        pitch = 6 * shapes[self.kind] + 12 + 3 * torch.randn(count, 1) + 2 * torch.randn(count, length)
        self.notes = pitch.round().long().clamp(0, 24)

    def __len__(self):
        return len(self.kind)

    def __getitem__(self, index):
        return self.notes[index], self.kind[index]


class BiLSTM(nn.Module):
    def __init__(self, n_hidden=32):
        super().__init__()
        self.embedding = nn.Embedding(25, 16)
        self.lstm = nn.LSTM(16, n_hidden, bidirectional=True, batch_first=True)
        self.out = nn.Linear(2 * n_hidden, 3)

    def forward(self, notes):
        _, (final_hidden_state, _) = self.lstm(self.embedding(notes))
        if args.fixed:
            hidden = final_hidden_state.transpose(0, 1).reshape(len(notes), -1)
        else:
            hidden = final_hidden_state.view(len(notes), -1)
        return self.out(hidden)


train, test = Melodies(2000), Melodies(500)
model = BiLSTM()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(8):
    for notes, kind in DataLoader(train, batch_size=40, shuffle=True):
        loss = criterion(model(notes), kind)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
right = 0
with torch.no_grad():
    for notes, kind in DataLoader(test, batch_size=50):
        right += (model(notes).argmax(1) == kind).sum().item()
print(f"RESULT loss {loss.item():.4f} accuracy {right / len(test):.3f}")
