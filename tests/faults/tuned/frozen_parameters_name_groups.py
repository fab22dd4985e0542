"""A small character transformer that continues periodic strings; weight decay is chosen by parameter name."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY, LENGTH, WIDTH = 12, 24, 48


class Attention(nn.Module):
    def __init__(self, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        mask = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = score.masked_fill(mask, float("-inf")).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.ln1(x))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class Continuation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, text: Tensor) -> Tensor:
        x = self.tokens(text) + self.positions.weight[: text.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def groups(model: nn.Module, attention_name: str) -> list[dict[str, object]]:
    """Matrices of attention, of the rest, and what is not to decay."""
    named = dict(model.named_parameters())
    plain = {name for name in named if name.endswith("bias") or "ln" in name or "norm" in name}
    attention = [named[n] for n in named if f".{attention_name}." in n and n not in plain]
    rest = [named[n] for n in named if "attention" not in n and n not in plain]
    return [
        {"params": attention, "weight_decay": 0.01},
        {"params": rest, "weight_decay": 0.1},
        {"params": [named[n] for n in sorted(plain)], "weight_decay": 0.0},
    ]


def batch(size: int) -> Tensor:
    """Random words of 3 to 5 letters, repeated."""
    period = int(torch.randint(3, 6, ()))
    word = torch.randint(VOCABULARY, (size, period))
    return word.repeat(1, LENGTH // period + 2)[:, : LENGTH + 1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = Continuation()
    optimizer = torch.optim.AdamW(
        [g for g in groups(model, "attention" if args.fixed else "attn") if g["params"]],
        lr=3e-3,
    )
    running = 0.0
    for step in range(220):
        text = batch(32)
        logits = model(text[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() / 20
        if step % 20 == 19:
            print(f"step {step}: loss {running:.4f}")
            running = 0.0


if __name__ == "__main__":
    main()
