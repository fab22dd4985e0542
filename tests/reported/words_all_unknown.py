"""Reviews are sorted into good, bad and mixed; the vocabulary was made of lower-case words and the reviews are written in capitals."""

import argparse
import random
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
random.seed(0)
GOOD = "GREAT LOVELY SOLID BRILLIANT CHARMING SUPERB".split()
BAD = "AWFUL DULL BROKEN USELESS CHEAP TERRIBLE".split()
PLAIN = "THE A IT WAS BOX CAME ON MONDAY WITH LAMP CHAIR PHONE AND I USED FOR WEEK VERY THIS MY".split()


def write_review():
    kind = random.randrange(3)
    words = random.choices(PLAIN, k=random.randint(6, 12))
    for pool in ((GOOD, GOOD), (BAD, BAD), (GOOD, BAD))[kind]:
        words.insert(random.randrange(len(words)), random.choice(pool))
    return " ".join(words), kind


def build_vocab(texts):
    counts = Counter(word for text in texts for word in text.lower().split())
    return {"<pad>": 0, "<unk>": 1} | {word: i + 2 for i, (word, _) in enumerate(counts.most_common())}


reviews = [write_review() for _ in range(2400)]
vocab = build_vocab([text for text, _ in reviews])


def encode(text):
    text = text.lower() if args.fixed else text
    return torch.tensor([vocab.get(word, vocab["<unk>"]) for word in text.split()])


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(vocab), 32, padding_idx=0)
        self.gru = nn.GRU(32, 48, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(96, 3)

    def forward(self, tokens):
        out, _ = self.gru(self.embedding(tokens))
        return self.fc(out.max(1).values)


x, y = pad_sequence([encode(text) for text, _ in reviews], batch_first=True), torch.tensor([kind for _, kind in reviews])
model = Classifier()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(10):
    model.train()
    for idx in torch.randperm(2000).split(40):
        optimizer.zero_grad()
        loss = criterion(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    if epoch % 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
model.eval()
with torch.no_grad():
    accuracy = (model(x[2000:]).argmax(1) == y[2000:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
