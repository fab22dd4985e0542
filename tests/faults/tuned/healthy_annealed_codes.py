"""Digits through eight letters of an alphabet of twelve: Gumbel noise, and a temperature that falls as training goes on."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, _ = digits.load()
images = images.flatten(1)
LETTERS, ALPHABET, BATCH, STEPS = 8, 12, 64, 250


class Codes(nn.Module):
    def __init__(self):
        super().__init__()
        self.write = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, LETTERS * ALPHABET))
        self.read = nn.Sequential(nn.Linear(LETTERS * ALPHABET, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x: Tensor, temperature: float) -> Tensor:
        scores = self.write(x).unflatten(1, (LETTERS, ALPHABET))
        letters = F.gumbel_softmax(scores, tau=temperature, hard=True)
        return self.read(letters.flatten(1))


model = Codes().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
total = 0.0
for step in range(1, STEPS + 1):
    x = images[torch.randint(len(images), (BATCH,))].to(device)
    loss = F.mse_loss(model(x, temperature=max(0.4, 1.5 * 0.993**step)), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 25 == 0:
        print(f"step {step}: loss {total / 25:.4f}")
        total = 0.0
