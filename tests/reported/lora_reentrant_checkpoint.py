"""A frozen text model gets low-rank adapters and gradient checkpointing; only the new head is trained, and the loss stays high."""

import argparse
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
warnings.filterwarnings("ignore", message="None of the inputs have requires_grad=True")
VOCAB, LENGTH, WIDTH = 40, 10, 48


class LoRALinear(nn.Module):
    def __init__(self, base, r=8, alpha=16):
        super().__init__()
        self.base = base
        self.lora_A = nn.Parameter(torch.randn(r, base.in_features) / base.in_features**0.5)
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, r))
        self.scaling = alpha / r

    def forward(self, x):
        return self.base(x) + self.scaling * F.linear(F.linear(x, self.lora_A), self.lora_B)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(self.ln_1(x)).chunk(3, -1)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v))
        return x + self.fc2(F.gelu(self.fc1(self.ln_2(x))))


class TextModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCAB, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.score = nn.Linear(WIDTH, 2)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(LENGTH))
        if args.fixed:  # what enable_input_require_grads does
            x.requires_grad_(True)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=True)
        return self.score(x.mean(1))


def get_peft_model(model):
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("score"))
    for block in model.blocks:
        block.qkv, block.fc1, block.fc2 = LoRALinear(block.qkv), LoRALinear(block.fc1), LoRALinear(block.fc2)
    return model


ids = torch.randint(0, VOCAB, (2600, LENGTH))
labels = ((ids[:, :5] < 10).any(1) == (ids[:, 5:] < 10).any(1)).long()
model = get_peft_model(TextModel())
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
for epoch in range(12):
    for batch in torch.randperm(2000).split(50):
        loss = F.cross_entropy(model(ids[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    accuracy = (model(ids[2000:]).argmax(1) == labels[2000:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
