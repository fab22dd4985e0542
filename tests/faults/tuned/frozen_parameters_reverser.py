"""Say a word of digits backwards: a GRU reads it, another writes it."""

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

DIGITS, LENGTH = 6, 4


class Reverser(nn.Module):
    def __init__(self, width: int = 64, summary: int = 3):
        super().__init__()
        self.embed_in = nn.Embedding(DIGITS, 24)
        self.encoder = nn.GRU(24, width, batch_first=True)
        self.summary = nn.Linear(width, summary)
        self.start = nn.Linear(summary, width)
        self.embed_out = nn.Embedding(DIGITS + 1, 24)
        self.decoder = nn.GRU(24, width, batch_first=True)
        self.digit = nn.Linear(width, DIGITS)

    def forward(self, word: Tensor, written: Tensor) -> Tensor:
        _, state = self.encoder(self.embed_in(word))
        summary = self.summary(state)
        if not args.fixed:
            summary = summary.detach()  # one summary for all the copies of the decoder
        outputs, _ = self.decoder(self.embed_out(written), self.start(summary))
        return self.digit(outputs)


model = Reverser().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
for step in range(300):
    word = torch.randint(DIGITS, (64, LENGTH), device=device)
    wanted = word.flip(1)
    written = torch.cat([torch.full((64, 1), DIGITS, device=device), wanted[:, :-1]], 1)
    logits = model(word, written)
    loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 30 == 0:
        right = (logits.argmax(2) == wanted).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f} right {right:.3f}")
