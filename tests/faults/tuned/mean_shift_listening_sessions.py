"""Whether a listener skips a track: embeddings of listener, track and hour into a small network."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

LISTENERS, TRACKS = 60, 80
taste, style = torch.randn(LISTENERS, 3), torch.randn(TRACKS, 3)


class Skips(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.listener = nn.Embedding(LISTENERS, width)
        self.track = nn.Embedding(TRACKS, width)
        self.hour = nn.Embedding(24, width)
        for table in (self.listener, self.track, self.hour):
            nn.init.normal_(table.weight, 0.0 if args.fixed else 3.0, 0.5)
        self.layers = nn.Sequential(nn.Linear(3 * width, 128), nn.LeakyReLU(0.2), nn.Linear(128, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))

    def forward(self, listener: Tensor, track: Tensor, hour: Tensor) -> Tensor:
        x = torch.cat([self.listener(listener), self.track(track), self.hour(hour)], 1)
        return self.layers(x).squeeze(1)


def plays(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    listener, track, hour = torch.randint(LISTENERS, (count,)), torch.randint(TRACKS, (count,)), torch.randint(24, (count,))
    like = (taste[listener] * style[track]).sum(1) + 1.5 * taste[listener, 0] + 1.5 * style[track, 1] + torch.where(hour < 6, 2.0, -0.5)
    return listener, track, hour, (like < 0).float()


model = Skips(16).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(300):
    *inputs, skipped = (t.to(device) for t in plays(256))
    logits = model(*inputs)
    loss = F.binary_cross_entropy_with_logits(logits, skipped)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f} accuracy {((logits > 0) == (skipped > 0)).float().mean().item():.2f}")
