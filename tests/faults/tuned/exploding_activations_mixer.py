"""A mixer over the rows of the digits, with weights drawn from a plain normal distribution."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class MixerBlock(nn.Module):
    def __init__(self, tokens: int, channels: int) -> None:
        super().__init__()
        self.across = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.within = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(x.transpose(1, 2)).transpose(1, 2)
        return x + self.within(x)


class Mixer(nn.Module):
    def __init__(self, channels: int = 48, depth: int = 8) -> None:
        super().__init__()
        self.embed = nn.Linear(8, channels)
        self.blocks = nn.ModuleList(MixerBlock(8, channels) for _ in range(depth))
        self.head = nn.Linear(channels, 10)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                deviation = 0.4 / module.in_features**0.5 if args.fixed else 0.25
                nn.init.normal_(module.weight, std=deviation)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.squeeze(1))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(dim=1))


images, labels = digits.load()
train = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=50, shuffle=True)
model = Mixer()
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-4)
for epoch in range(4):
    model.train()
    total = 0.0
    for x, y in train:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        accuracy = (model(images[1500:]).argmax(1) == labels[1500:]).float().mean()
    print(f"epoch {epoch}: loss {total / len(train):.4g}, accuracy {accuracy:.3f}")
