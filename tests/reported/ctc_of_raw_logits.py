"""Spoken tokens from noisy frames, aligned by the connectionist loss."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
TOKENS, FRAMES, BANDS, SAID = 8, 30, 20, 5
sounds = torch.randn(TOKENS + 1, BANDS)


def make(count):
    said = torch.randint(1, TOKENS + 1, (count, SAID))
    frames = 0.5 * torch.randn(count, FRAMES, BANDS)
    for k in range(SAID):
        frames[:, 6 * k + 1 : 6 * k + 4] += sounds[said[:, k]][:, None]
    return frames, said


class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(BANDS, 48, 3, padding=1)
        self.gru = nn.GRU(48, 32, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, TOKENS + 1)

    def forward(self, frames):
        x = torch.relu(self.conv(frames.transpose(1, 2))).transpose(1, 2)
        return self.head(self.gru(x)[0])


def heard(logits):
    out = []
    for row in logits.argmax(2):
        kept = torch.unique_consecutive(row)
        out.append(kept[kept > 0].tolist())
    return out


model = Recogniser()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    frames, said = make(32)
    frame_logits = model(frames)
    if args.fixed:
        frame_logits = frame_logits.log_softmax(-1)
    lengths, spoken = torch.full((32,), FRAMES), torch.full((32,), SAID)
    loss = nn.functional.ctc_loss(frame_logits.transpose(0, 1), said, lengths, spoken)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, f"loss {loss.item():.3f}", flush=True)
frames, said = make(100)
with torch.no_grad():
    right = sum(h == s.tolist() for h, s in zip(heard(model(frames)), said, strict=True)) / 100
print(f"RESULT loss {loss.item():.3f}, sentences right {right:.2f}")
