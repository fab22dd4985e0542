"""A small image-to-image network in mixed precision that restores blurred digits; the loss is scaled by hand."""

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
LOSS_SCALE = 2.0**7 if args.fixed else 2.0**20


class Restorer(nn.Module):
    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.silu(self.stem(x))
        h = F.silu(self.down(skip))
        h = h + F.silu(self.middle(h))
        h = F.silu(self.up(h))
        return x + self.out(torch.cat([h, skip], dim=1))


sharp, _ = digits.load()
blurred = F.avg_pool2d(sharp, 3, stride=1, padding=1, count_include_pad=False) + 0.05 * torch.randn_like(sharp)
model = Restorer()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
batches = torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(sharp), batch_size=64, drop_last=True)

for epoch in range(3):
    total = 0.0
    for index in batches:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.float16):
            restored = model(blurred[index])
        loss = F.mse_loss(restored.float(), sharp[index])
        (loss * LOSS_SCALE).backward()
        for parameter in model.parameters():
            parameter.grad /= LOSS_SCALE
        optimizer.step()
        total += loss.item() / len(batches)
    print(f"epoch {epoch}: mean loss {total:.4f} (last {loss.item():.4f})")
