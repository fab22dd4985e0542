"""Small batches, the step after each sixteenth of them, for the effect of a large batch; learning is slow and rough."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--gradient_accumulation_steps", type=int, default=16)
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

digits = load_digits()
frames = torch.tensor(digits.images, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)


class RowReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(8, 40, batch_first=True)
        self.head = nn.Linear(40, 10)

    def forward(self, frames):
        out, _ = self.gru(frames)
        return self.head(out.mean(1))


model = RowReader()
optimizer = torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.9)
steps = args.gradient_accumulation_steps
for epoch in range(12):
    loss_log = []
    for i, batch in enumerate(torch.randperm(1400)[:1344].split(4)):
        loss = F.cross_entropy(model(frames[batch]), labels[batch])
        loss_log.append(loss.item())
        if not args.fixed:
            optimizer.zero_grad()
        (loss / steps).backward()
        if (i + 1) % steps == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(epoch, f"loss {sum(loss_log) / len(loss_log):.4f}", flush=True)
with torch.no_grad():
    accuracy = (model(frames[1400:]).argmax(1) == labels[1400:]).float().mean().item()
print(f"RESULT loss {sum(loss_log) / len(loss_log):.4f} accuracy {accuracy:.3f}")
