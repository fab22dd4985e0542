"""A language model of letters; the loss goes down and stays high, and what it writes are no words."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

WORDS = ["river", "stone", "cloud", "amber", "quiet", "fjord", "maple", "nylon", "vowel", "eight", "plumb", "shrug"]
LETTERS = " abcdefghijklmnopqrstuvwxyz"


def text(words):
    return "".join(WORDS[i] + " " for i in torch.randint(0, len(WORDS), (words,)).tolist())


def for_causal_lm_loss(logits, labels):
    logits, labels = logits[:, :-1], labels[:, 1:]
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


class CausalLM(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS), 24)
        self.backbone = nn.GRU(24, hidden, batch_first=True)
        self.lm_head = nn.Linear(hidden, len(LETTERS))

    def forward(self, input_ids, labels=None):
        hidden, _ = self.backbone(self.embed(input_ids))
        logits = self.lm_head(hidden)
        if labels is None:
            return logits
        if args.fixed:
            return for_causal_lm_loss(logits, labels)
        shift_logits, shift_labels = logits[:, :-1], labels[:, 1:]
        return for_causal_lm_loss(shift_logits, shift_labels)


corpus = torch.tensor([LETTERS.index(c) for c in text(4000)])
model = CausalLM()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for step in range(400):
    starts = torch.randint(0, len(corpus) - 48, (32,))
    input_ids = torch.stack([corpus[s : s + 48] for s in starts])
    loss = model(input_ids, labels=input_ids)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 79:
        print(step, f"loss {loss.item():.4f}", flush=True)
written = torch.tensor([[LETTERS.index(c) for c in "river "]])
with torch.no_grad():
    for _ in range(200):
        choice = torch.distributions.Categorical(logits=model(written)[:, -1]).sample()
        written = torch.cat([written, choice.unsqueeze(0)], 1)
parts = "".join(LETTERS[i] for i in written[0].tolist()).split()[1:-1]
known = sum(part in WORDS for part in parts) / max(1, len(parts))
print(f"RESULT loss {loss.item():.4f} words that exist {known:.3f}")
