"""Strings are read from noisy frames with a temporal loss written by hand, in logarithms; the gradient is NaN from the first step."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
LETTERS, FRAMES, LONG, WIDTH = 6, 16, 4, 12
ZERO = torch.finfo(torch.float32).min / 1e6 if args.fixed else float("-inf")
sound = torch.randn(LETTERS + 1, WIDTH)
sound[0] = 0


def speak(count):
    words = torch.randint(1, LETTERS + 1, (count, LONG))
    spoken = torch.zeros(count, FRAMES, dtype=torch.long)
    for i in range(LONG):
        spoken[:, 4 * i + 1 : 4 * i + 3] = words[:, i : i + 1]
    return sound[spoken] + 0.7 * torch.randn(count, FRAMES, WIDTH), words


def ctc_loss(log_probs, targets):
    """Negative logarithm of the sum over all alignments; log_probs (time, batch, letters), blank is 0."""
    T, B, _ = log_probs.shape
    S = 2 * targets.shape[1] + 1
    extended = torch.zeros(B, S, dtype=torch.long)
    extended[:, 1::2] = targets
    skip = torch.zeros(B, S, dtype=torch.bool)
    skip[:, 2:] = (extended[:, 2:] != 0) & (extended[:, 2:] != extended[:, :-2])
    nowhere = torch.full((B, 1), ZERO)
    alpha = torch.cat([log_probs[0].gather(1, extended[:, :2]), nowhere.expand(B, S - 2)], 1)
    for t in range(1, T):
        one = torch.cat([nowhere, alpha[:, :-1]], 1)
        two = torch.cat([nowhere, nowhere, alpha[:, :-2]], 1).masked_fill(~skip, ZERO)
        alpha = torch.logsumexp(torch.stack([alpha, one, two]), 0) + log_probs[t].gather(1, extended)
    return -torch.logsumexp(alpha[:, -2:], 1).mean()


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(WIDTH, 32, batch_first=True, bidirectional=True)
        self.out = nn.Linear(64, LETTERS + 1)

    def forward(self, frames):
        return self.out(self.rnn(frames)[0]).log_softmax(2).transpose(0, 1)


model = Listener()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(250):
    frames, words = speak(32)
    loss = ctc_loss(model(frames), words)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step, f"loss {loss.item():.4f}", flush=True)
frames, words = speak(200)
with torch.no_grad():
    best = model(frames).argmax(2).T.tolist()
read = [[s for i, s in enumerate(row) if s and (i == 0 or s != row[i - 1])] for row in best]
right = sum(r == w for r, w in zip(read, words.tolist(), strict=True)) / 200
print(f"RESULT loss {loss.item():.4f} words right {right:.3f}")
