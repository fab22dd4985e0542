"""Dilated causal convolutions that multiply a signal with its own echo."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def echoes(count: int, length: int = 96) -> Tensor:
    time = torch.arange(length) / 10
    low = 0.5 + 1.0 * torch.rand(count, 1)
    high = 2.0 + 3.0 * torch.rand(count, 1)
    phase = 6.3 * torch.rand(2, count, 1)
    return (torch.sin(low * time + phase[0]) + torch.sin(high * time + phase[1])).unsqueeze(1)


class Causal(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(inputs, outputs, 3, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv(F.pad(x, (self.pad, 0))))


model = nn.Sequential(Causal(1, 24, 1), Causal(24, 24, 2), Causal(24, 24, 4), nn.Conv1d(24, 1, 1))
for module in model.modules():
    if isinstance(module, nn.Conv1d):
        if args.fixed:
            nn.init.xavier_normal_(module.weight)
        else:
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        nn.init.zeros_(module.bias)

optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for step in range(200):
    signal = echoes(16)
    product = signal[..., 8:] * signal[..., :-8]
    loss = F.smooth_l1_loss(model(signal)[..., 16:], product[..., 8:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.5f}")
