"""A small network for masks in mixed precision: gradients are cut off at a value before the scaler has taken its scale out of them."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def pictures(count):
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    centre, radius = 4 + 8 * torch.rand(count, 2, 1, 1), 2 + 3 * torch.rand(count, 1, 1)
    lake = ((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2 < radius**2).float()
    return (lake + 0.5 * torch.randn(count, 16, 16)).unsqueeze(1), lake.unsqueeze(1)


model = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**13)
for step in range(150):
    image, mask = pictures(12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(image)
    loss = nn.functional.binary_cross_entropy_with_logits(output.float(), mask)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    if args.fixed:
        scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    scaler.step(optimizer)
    scaler.update()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
