"""A language of four dialects and eight experts, one for each token; nothing spreads the tokens, and one expert gets them all."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
DIALECTS, WORDS, EXPERTS, WIDTH = 4, 16, 8, 24
tables = torch.stack([torch.randperm(WORDS) for _ in range(DIALECTS)])


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, 12), nn.ReLU(), nn.Linear(12, WIDTH)) for _ in range(EXPERTS))

    def forward(self, x):
        scores = torch.softmax(self.gate(x), -1)
        weight, chosen = scores.max(-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mine = chosen == number
            if mine.any():
                out[mine] = weight[mine, None] * expert(x[mine])
        share = F.one_hot(chosen, EXPERTS).float().mean(0)
        return x + out, EXPERTS * (share * scores.mean(0)).sum(), share


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.word, self.dialect = nn.Embedding(WORDS, WIDTH), nn.Embedding(DIALECTS, WIDTH)
        nn.init.constant_(self.dialect.weight, 1.0)
        self.experts, self.head = Experts(), nn.Linear(WIDTH, WORDS)

    def forward(self, dialect, word):
        mixed, balance, share = self.experts(0.3 * self.word(word) + self.dialect(dialect))
        return self.head(mixed), balance, share


model = Translator()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(600):
    dialect, word = torch.randint(0, DIALECTS, (128,)), torch.randint(0, WORDS, (128,))
    logits, balance, share = model(dialect, word)
    loss = F.cross_entropy(logits, tables[dialect, word])
    total = loss + 0.1 * balance if args.fixed else loss
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    if step % 100 == 99:
        print(step, f"loss {loss.item():.4f}", "share", [round(s, 2) for s in share.tolist()], flush=True)
print(f"RESULT loss {loss.item():.4f} experts used {int((share > 0.02).sum())} largest share {share.max().item():.2f}")
