"""Characters from sound frames with the CTC loss; the network halves the time twice, and some transcripts no longer fit."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
CHARS, FRAMES = 8, 48
codes = torch.randn(CHARS + 1, 12)


def utterances(count):
    sounds, transcripts, lengths = [], torch.zeros(count, 14, dtype=torch.long), []
    for i in range(count):
        length = int(torch.randint(4, 9, (1,))) if torch.rand(1) < 0.985 else 13
        text = torch.randint(1, CHARS + 1, (length,))
        transcripts[i, :length] = text
        lengths.append(length)
        sounds.append(codes[text[(torch.arange(FRAMES) * length / FRAMES).long()]] + 0.3 * torch.randn(FRAMES, 12))
    return torch.stack(sounds), transcripts, torch.tensor(lengths)


class SpeechNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(12, 32, 5, stride=2, padding=2)
        self.conv2 = nn.Conv1d(32, 32, 5, stride=1 if args.fixed else 2, padding=2)
        self.blstm = nn.LSTM(32, 32, bidirectional=True)
        self.out = nn.Linear(64, CHARS + 1)

    def forward(self, frames):
        h = F.relu(self.conv2(F.relu(self.conv1(frames.transpose(1, 2)))))
        h, _ = self.blstm(h.permute(2, 0, 1))
        return F.log_softmax(self.out(h), dim=-1)


sounds, transcripts, lengths = utterances(800)
model = SpeechNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
step = 0
for _ in range(6):
    for batch in torch.randperm(len(sounds)).split(20):
        output = model(sounds[batch])
        steps = torch.full((len(batch),), output.size(0), dtype=torch.long)
        loss = F.ctc_loss(output, transcripts[batch], steps, lengths[batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if step % 40 == 0 or (step < 40 and not loss.isfinite()):
            print(step, loss.item(), flush=True)
        step += 1
with torch.no_grad():
    right = 0
    for path, text, length in zip(model(sounds[:200]).argmax(-1).t(), transcripts, lengths, strict=False):
        path = torch.unique_consecutive(path)
        right += path[path > 0].tolist() == text[:length].tolist()
print(f"RESULT loss {loss.item():.4f} transcripts right {right / 200:.3f}")
