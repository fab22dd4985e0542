"""A small GPT, written by hand, that learns to count aloud: AdamW, warm-up and cosine decay.

The text is sums in words ("seventeen plus eight is twenty-five."), made by this script, so there is nothing to
download and the samples at the end can be checked by reading them. From the folder above this one:

    $ python sample_runs/transformer_language_model.py
    $ bnprobe record -o transformer.h5 sample_runs/transformer_language_model.py
    $ bnprobe report transformer.h5 --open
"""

from __future__ import annotations

import argparse
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser(description="Train a small character transformer on sums in words.")
parser.add_argument("--steps", type=int, default=200, help="optimizer steps (default: %(default)s)")
parser.add_argument("--learning-rate", type=float, default=3e-3, help="the peak of AdamW's (default: %(default)s)")
parser.add_argument("--warm-up", type=int, default=20, help="steps of linear warm-up (default: %(default)s)")
parser.add_argument("--depth", type=int, default=4, help="transformer blocks (default: %(default)s)")
parser.add_argument("--held-out", type=int, default=0, help="sums to test on that are not in the text (default: %(default)s)")
parser.add_argument("--seed", type=int, default=0, help="text, weights and batches (default: %(default)s)")
args = parser.parse_args()

CONTEXT = 64  # characters that the model sees
WIDTH = 64
HEADS = 4
BATCH = 32

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def in_words(number: int) -> str:
    """Spell a number from 0 to 99."""
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return TENS[tens - 2] + (f"-{ONES[ones]}" if ones else "")


def in_a_line(a: int, b: int) -> str:
    return f"{in_words(a)} plus {in_words(b)} is {in_words(a + b)}.\n"


def sums(count: int) -> str:
    """Write `count` sums of two numbers below 50."""
    pairs = ((random.randrange(50), random.randrange(50)) for _ in range(count))
    return "".join(in_a_line(a, b) for a, b in pairs)


def unwritten_sums(text: str, count: int) -> str:
    """Write up to `count` of the sums that a text does not hold, always the same ones of the same text."""
    every = [in_a_line(a, b) for a in range(50) for b in range(50)]
    unwritten = sorted(set(every) - set(text.splitlines(keepends=True)))
    return "".join(random.Random(0).sample(unwritten, min(count, len(unwritten))))


class Attention(nn.Module):
    """Causal self-attention over HEADS heads."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.projection(y.transpose(1, 2).reshape(n, t, width))


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.expand = nn.Linear(WIDTH, 4 * WIDTH)
        self.gelu = nn.GELU()
        self.contract = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.contract(self.gelu(self.expand(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, vocabulary: int, depth: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(depth)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


random.seed(args.seed)
torch.manual_seed(args.seed)
text = sums(4000)
alphabet = sorted(set(text))
tokens = torch.tensor([alphabet.index(character) for character in text])

model = GPT(len(alphabet), args.depth)
optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate, betas=(0.9, 0.99), weight_decay=0.1)


def rate(step: int) -> float:
    """Rise over the warm-up, then fall along half a cosine to a tenth."""
    if step < args.warm_up:
        return (step + 1) / args.warm_up
    done = (step - args.warm_up) / max(1, args.steps - args.warm_up)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

for step in range(args.steps):
    starts = torch.randint(len(tokens) - CONTEXT, (BATCH, 1))
    window = tokens[starts + torch.arange(CONTEXT + 1)]
    logits = model(window[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 25 == 0 or step == args.steps - 1:
        accuracy = (logits.argmax(2) == window[:, 1:]).float().mean().item()
        shown = schedule.get_last_lr()[0]
        print(f"step {step:3d}  rate {shown:.5f}  loss {loss.item():.4f}  accuracy {accuracy:.2f}", flush=True)
    schedule.step()

model.eval()
if args.held_out:
    test = torch.tensor([alphabet.index(character) for character in unwritten_sums(text, args.held_out)])
    windows = test[: (len(test) - 1) // CONTEXT * CONTEXT + 1].unfold(0, CONTEXT + 1, CONTEXT)
    with torch.no_grad():
        logits = model(windows[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
    accuracy = (logits.argmax(2) == windows[:, 1:]).float().mean().item()
    print(f"held-out loss {loss.item():.4f}  accuracy {accuracy:.3f} on {windows[:, 1:].numel()} characters")
written = tokens[: text.index("\n") + 1][None]  # the first sum, then whatever the model adds
with torch.no_grad():
    for _ in range(100):
        chances = model(written[:, -CONTEXT:])[:, -1].softmax(1)
        written = torch.cat([written, torch.multinomial(chances, 1)], dim=1)
print("it writes:", "".join(alphabet[i] for i in written[0].tolist()), sep="\n")
