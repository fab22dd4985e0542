"""A language model with a mixture of experts, built without memory first and filled afterwards."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
torch.use_deterministic_algorithms(True)
VOCAB, WIDTH, LENGTH, EXPERTS = 24, 32, 16, 4


class Router(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, EXPERTS)

    def init_weights(self):
        nn.init.trunc_normal_(self.gate.weight, std=0.02)
        if args.fixed:
            nn.init.zeros_(self.gate.bias)

    def forward(self, x):
        return torch.softmax(self.gate(x), -1)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ModuleList(nn.Linear(WIDTH, 2 * WIDTH, bias=False) for _ in range(EXPERTS))
        self.down = nn.ModuleList(nn.Linear(2 * WIDTH, WIDTH, bias=False) for _ in range(EXPERTS))

    def init_weights(self):
        for layer in [*self.up, *self.down]:
            nn.init.trunc_normal_(layer.weight, std=0.1)

    def forward(self, x, share):
        out = [down(torch.relu(up(x))) for up, down in zip(self.up, self.down, strict=True)]
        return (torch.stack(out, -1) * share[..., None, :]).sum(-1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.mix = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.router, self.experts = Router(), Experts()
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)

    def init_weights(self):
        nn.init.normal_(self.embed.weight)
        self.mix.reset_parameters()
        self.router.init_weights()
        self.experts.init_weights()
        nn.init.trunc_normal_(self.head.weight, std=0.1)

    def forward(self, tokens):
        x = self.mix(self.embed(tokens))[0]
        return self.head(x + self.experts(x, self.router(x)))


with torch.device("meta"):
    model = Model()
model.to_empty(device="cpu")
model.init_weights()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(200):
    start = torch.randint(VOCAB, (32, 1))
    pace = torch.randint(1, 4, (32, 1))
    tokens = (start + pace * torch.arange(LENGTH + 1)) % VOCAB
    logits = model(tokens[:, :-1])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(step, f"loss {loss.item():.4f}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
