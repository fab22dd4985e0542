"""Sentiment of short reviews padded to one length; the classifier reads the state after the padding."""

import argparse

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
VOCAB, LONGEST = 60, 80


def reviews(count):
    """Words 1 to 4 are good, 5 to 8 bad; most reviews are short, a few are long."""
    out = []
    for _ in range(count):
        length = int(torch.randint(4, 12, (1,))) if torch.rand(1) < 0.97 else LONGEST
        words, label = torch.randint(9, VOCAB, (length,)), int(torch.rand(1) < 0.5)
        places = torch.randperm(length)[:2]
        words[places] = torch.randint(1, 5, (2,)) + (0 if label else 4)
        out.append((words, label))
    return out


def collate(items):
    words, labels = zip(*items, strict=True)
    padded = torch.zeros(len(words), LONGEST, dtype=torch.long)
    filled = pad_sequence(words, batch_first=True)
    padded[:, : filled.size(1)] = filled
    return padded, torch.tensor([len(w) for w in words]), torch.tensor(labels)


class SentimentLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, 24, padding_idx=0)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.fc = nn.Linear(32, 2)

    def forward(self, text, lengths):
        out, _ = self.lstm(self.embedding(text))
        last = out[torch.arange(len(text)), lengths - 1] if args.fixed else out[:, -1, :]
        return self.fc(last)


train, test = DataLoader(reviews(1500), 50, shuffle=True, collate_fn=collate), DataLoader(reviews(400), 400, collate_fn=collate)
model = SentimentLSTM()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(8):
    total = 0.0
    for text, lengths, label in train:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(text, lengths), label)
        loss.backward()
        optimizer.step()
        total += loss.item()
    with torch.no_grad():
        text, lengths, label = next(iter(test))
        accuracy = (model(text, lengths).argmax(1) == label).float().mean().item()
    print(epoch, f"loss {total / len(train):.4f} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT loss {total / len(train):.4f} accuracy {accuracy:.3f}")
