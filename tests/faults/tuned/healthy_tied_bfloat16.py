"""A language model on letters in bfloat16, with input and output tables tied and gradients that are clipped at every step."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LETTERS, WIDTH, LENGTH = 26, 48, 20


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 96), nn.GELU(), nn.Linear(96, WIDTH))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.attention(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.feed(self.norm2(x))


class Letters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(LETTERS, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(3))
        self.norm = nn.LayerNorm(WIDTH)
        self.out = nn.Linear(WIDTH, LETTERS, bias=False)
        nn.init.normal_(self.table.weight, std=0.1)
        nn.init.normal_(self.place.weight, std=0.1)
        self.out.weight = self.table.weight

    def forward(self, text: Tensor) -> Tensor:
        mask = torch.ones(text.shape[1], text.shape[1], dtype=torch.bool).triu(1)
        x = self.table(text) + self.place(torch.arange(text.shape[1]))
        for layer in self.layers:
            x = layer(x, mask)
        return self.out(self.norm(x))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    successor = torch.stack([torch.randperm(LETTERS) for _ in range(3)])
    model = Letters()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=110, pct_start=0.15)
    for step in range(110):
        text = [torch.randint(LETTERS, (32,))]
        for _ in range(LENGTH):
            text.append(successor[(torch.rand(32) < 0.2).long() + (torch.rand(32) < 0.05).long(), text[-1]])
        batch = torch.stack(text, dim=1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(batch[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        schedule.step()
        if step % 22 == 21:
            print(f"step {step}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
