"""Whether two images show the same digit: a siamese network without normalisation, initialised as in image generators."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Encoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(1 if i == 0 else width, width, 3, padding=1, stride=2 if i == 3 else 1) for i in range(6))
        self.out = nn.Linear(16 * width, 16)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.tanh(conv(x))
        return self.out(x.flatten(1))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(16)
        self.compare = nn.Linear(16, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.compare((self.encoder(a) - self.encoder(b)).abs()).squeeze(1)


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        if args.fixed:
            nn.init.xavier_normal_(module.weight)
        else:
            nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)


images, labels = digits.load()
images, labels = images[labels < 5], labels[labels < 5]
model = Pair().apply(initialise).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
for step in range(150):
    first = torch.randint(len(images), (48,))
    second = torch.randint(len(images), (48,))
    for i in range(0, 48, 2):  # every second pair of one digit
        alike = (labels == labels[first[i]]).nonzero()[:, 0]
        second[i] = alike[torch.randint(len(alike), ())]
    same = (labels[first] == labels[second]).float()
    logits = model(images[first].to(device), images[second].to(device))
    loss = F.binary_cross_entropy_with_logits(logits, same.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4f} accuracy {((logits.cpu() > 0) == (same > 0)).float().mean().item():.2f}")
