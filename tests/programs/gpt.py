"""A hand-written GPT with fused scaled-dot-product attention, weight tying, dropout and clipping."""

import torch
from common import digest, say_loss, say_norms, say_rates
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = (part.view(n, t, 2, c // 2).transpose(1, 2) for part in self.qkv(x).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.drop(self.proj(y.transpose(1, 2).reshape(n, t, c)))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width)
        self.mlp = nn.ModuleDict({"up": nn.Linear(width, 4 * width), "act": nn.GELU(), "down": nn.Linear(4 * width, width)})

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp.down(self.mlp.act(self.mlp.up(self.ln2(x))))


class GPT(nn.Module):
    def __init__(self, vocabulary=11, width=8):
        super().__init__()
        self.transformer = nn.ModuleDict(
            {"wte": nn.Embedding(vocabulary, width), "wpe": nn.Embedding(16, width), "h": nn.ModuleList([Block(width), Block(width)])}
        )
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def forward(self, idx, targets):
        x = self.transformer.wte(idx) + self.transformer.wpe(torch.arange(idx.shape[1]))
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return logits, F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


model = GPT()
decay = [p for p in model.parameters() if p.dim() > 1]
rest = [p for p in model.parameters() if p.dim() <= 1]
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-2, betas=(0.8, 0.95))
for _ in range(4):
    text = torch.randint(11, (4, 9))
    _, loss = model(text[:, :-1], text[:, 1:])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    say_loss(loss)
    say_norms(model)
    say_rates(optimizer)
    optimizer.step()
digest(model)
