"""A wide network with much dropout on few, noisily labelled digits; validated after every epoch."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Gated(nn.Module):
    """A gated linear layer with dropout on its way out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.value = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(inputs, outputs)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.value(x) * torch.sigmoid(self.gate(x)))


images, labels = digits.load()
images = images.flatten(1)
train_x, train_y = images[:400], labels[:400].clone()
wrong = torch.rand(len(train_y)) < 0.3
train_y[wrong] = torch.randint(10, (int(wrong.sum()),))
held_x, held_y = images[800:], labels[800:]

model = nn.Sequential(nn.Dropout(0.2), Gated(64, 256), Gated(256, 256), nn.Linear(256, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def validate() -> tuple[float, float]:
    model.eval()
    logits = model(held_x)
    return F.cross_entropy(logits, held_y).item(), (logits.argmax(1) == held_y).float().mean().item()


model.train()
for epoch in range(20):
    if args.fixed:
        model.train()
    for index in torch.randperm(len(train_x)).split(40):
        loss = F.cross_entropy(model(train_x[index]), train_y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held_loss, right = validate()
    print(f"epoch {epoch}: loss {loss.item():.3f}, held out {held_loss:.3f}, right {right:.3f}")
