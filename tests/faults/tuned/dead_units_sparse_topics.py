"""Topics of short texts as bags of words; the hidden code is meant to be sparse."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
WORDS, TOPICS = 300, 12
chances = F.softmax(1.8 * torch.randn(TOPICS, WORDS), 1)


def texts(count: int, length: int = 12) -> tuple[Tensor, Tensor]:
    topic = torch.randint(0, TOPICS, (count,))
    return torch.multinomial(chances[topic], length, replacement=True), topic


class TopicNet(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(WORDS, 32)
        self.spread = nn.Linear(32, width)
        self.norm = nn.LayerNorm(width)
        self.rectify = nn.ReLU()
        self.out = nn.Linear(width, TOPICS)
        if not args.fixed:
            nn.init.constant_(self.norm.bias, -4.0)

    def forward(self, words: Tensor) -> Tensor:
        return self.out(self.rectify(self.norm(self.spread(self.bag(words)))))


model = TopicNet()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(200):
    words, topic = texts(64)
    logits = model(words)
    loss = F.cross_entropy(logits, topic)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.4f} accuracy {(logits.argmax(1) == topic).float().mean().item():.3f}")
