"""Next command in a shell session: a causal attention block with root mean square normalisation, under autocast."""

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

COMMANDS, LENGTH, BATCH, STEPS, WIDTH = 30, 8, 10, 50, 288
follow = torch.randint(COMMANDS, (COMMANDS, 2))


def sessions() -> Tensor:
    words = [torch.randint(COMMANDS, (BATCH,))]
    for _ in range(LENGTH):
        words.append(follow[words[-1], (torch.rand(BATCH) < 0.15).long()])
    return torch.stack(words, 1).to(device)


class Power(nn.Module):
    """Mean square over the last dimension."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * x).sum(-1, keepdim=True) / x.shape[-1]


class RootMeanSquare(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.power = Power()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float() if args.fixed else x
        return (wide / (self.power(wide) + 1e-5).sqrt()).to(x.dtype) * self.gain.to(x.dtype)


class Session(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(COMMANDS, WIDTH)
        self.norm1, self.qkv, self.out = RootMeanSquare(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm2, self.up, self.down = RootMeanSquare(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm3, self.next = RootMeanSquare(WIDTH), nn.Linear(WIDTH, COMMANDS)

    def forward(self, words: Tensor) -> Tensor:
        h = (self.word(words) * WIDTH**0.5).half()
        q, k, v = self.qkv(self.norm1(h)).chunk(3, -1)
        h = h + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        h = h + self.down(F.silu(self.up(self.norm2(h))))
        return self.next(self.norm3(h))


model = Session().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-6)
for step in range(1, STEPS + 1):
    words = sessions()
    with torch.autocast(device.type, dtype=torch.float16):
        scores = model(words[:, :-1])
    loss = F.cross_entropy(scores.float().flatten(0, 1), words[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
