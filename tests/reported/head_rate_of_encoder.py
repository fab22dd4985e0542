"""Several labels a text from a pretrained encoder: the new head is trained at the small rate that suits the encoder."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
WORDS, LENGTH, LABELS, WIDTH = 400, 12, 10, 96


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(WIDTH, 4, 192, 0.1, "gelu", batch_first=True) for _ in range(1))
        self.pooler = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens):
        hidden = self.embeddings(tokens)
        for layer in self.layers:
            hidden = layer(hidden)
        return torch.tanh(self.pooler(hidden[:, 0]))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = Encoder()
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(WIDTH, LABELS)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, tokens):
        return self.classifier(self.dropout(self.bert(tokens)))


model = Classifier()
tokens = torch.randint(0, WORDS, (2400, LENGTH))
model.eval()
with torch.no_grad():
    known = model.bert(tokens)
labels = (((known - known.mean(0)) / known.std(0)) @ torch.randn(WIDTH, LABELS) > 6.0).float()
train_x, train_y, test_x, test_y = tokens[:2000], labels[:2000], tokens[2000:], labels[2000:]

groups = [{"params": model.bert.parameters()}, {"params": model.classifier.parameters(), "lr": 1e-3 if args.fixed else 4e-5}]
optimizer = torch.optim.AdamW(groups, lr=4e-5)
for epoch in range(6):
    model.train()
    total = 0.0
    for batch in torch.randperm(len(train_x)).split(16):
        loss = F.binary_cross_entropy_with_logits(model(train_x[batch]), train_y[batch])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() / (len(train_x) / 16)
    model.eval()
    with torch.no_grad():
        guess = model(test_x) > 0
    hits = (guess & (test_y > 0)).sum()
    f1 = (2 * hits / (guess.sum() + test_y.sum())).item()
    print(epoch, f"loss {total:.4f} f1 {f1:.3f}", flush=True)
print(f"RESULT loss {total:.4f} f1 {f1:.3f}")
