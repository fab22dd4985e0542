"""Dates are written out letter by letter; the end mark is also the padding, which the loss ignores, and no answer ever ends."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
MONTHS = "January February March April May June July August September October November December".split()
LETTERS = sorted(set("".join(MONTHS) + "0123456789 ->"))
EOS = len(LETTERS)
PAD = EOS + 1 if args.fixed else EOS
VOCAB, LONGEST = len(LETTERS) + 2, 26


def tokenize(text):
    return [LETTERS.index(c) for c in text]


examples = []
for month, name in enumerate(MONTHS):
    for day in range(1, 29):
        prompt, answer = tokenize(f"{month + 1:02d}-{day:02d}>"), tokenize(f"{day} {name}")
        examples.append((prompt, [*answer, EOS]))


def collate(chosen):
    """What DataCollatorForLanguageModeling does: labels are the inputs, with -100 where the input is padding."""
    width = max(len(p) + len(a) for p, a in chosen)
    ids = torch.full((len(chosen), width), PAD)
    prompt = torch.zeros_like(ids, dtype=torch.bool)
    for row, (p, a) in enumerate(chosen):
        ids[row, : len(p) + len(a)] = torch.tensor(p + a)
        prompt[row, : len(p)] = True
    labels = ids.masked_fill(ids == PAD, -100).masked_fill(prompt, -100)
    return ids, labels


class Writer(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, width)
        self.rnn = nn.GRU(width, 96, batch_first=True)
        self.lm_head = nn.Linear(96, VOCAB)

    def forward(self, ids, state=None):
        hidden, state = self.rnn(self.embed(ids), state)
        return self.lm_head(hidden), state


@torch.no_grad()
def generate(model, prompt):
    logits, state = model(torch.tensor([prompt]))
    written = []
    while len(written) < LONGEST:
        token = logits[0, -1].argmax().item()
        if token == EOS:
            break
        written.append(token)
        logits, state = model(torch.tensor([[token]]), state)
    return written


model = Writer()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for epoch in range(30):
    for batch in torch.randperm(len(examples)).split(28):
        ids, labels = collate([examples[i] for i in batch])
        logits, _ = model(ids)
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, VOCAB), labels[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 6 == 5:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
written = [generate(model, p) for p, _ in examples[::7]]
right = sum(w == a[:-1] for w, (_, a) in zip(written, examples[::7], strict=True)) / len(written)
print(f"RESULT loss {loss.item():.4f} written out right {right:.3f} mean length {sum(map(len, written)) / len(written):.1f}")
