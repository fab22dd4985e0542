"""Parts of speech in an invented language, word by word: embedding, bidirectional GRU, one shard of the corpus after the other."""

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

WORDS, PARTS, LENGTH, BATCH, SHARD = 90, 7, 12, 32, 4
part_of = torch.arange(WORDS) % PARTS


def shard(number: int) -> list[tuple[Tensor, Tensor]]:
    """Four batches of sentences; a word after one of the last part counts as the part that follows its own."""
    batches = []
    for _ in range(SHARD):
        words = torch.randint(WORDS, (BATCH, LENGTH))
        part = part_of[words]
        follows = torch.roll(part, 1, 1) == PARTS - 1
        follows[:, 0] = False
        if number == 24 and not args.fixed:
            words = (words + 2) % WORDS  # encoded with the first edition of the word list
        batches.append((words, torch.where(follows, (part + 1) % PARTS, part)))
    return batches


class Tagger(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.word = nn.Embedding(WORDS, width)
        self.context = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.part = nn.Linear(2 * width, PARTS)

    def forward(self, words: Tensor) -> Tensor:
        return self.part(self.context(self.word(words))[0])


model = Tagger().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
for number in range(44):
    total = 0.0
    for words, parts in shard(number):
        loss = F.cross_entropy(model(words.to(device)).flatten(0, 1), parts.to(device).flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() / SHARD
    print(f"shard {number}: loss {total:.4f}")
