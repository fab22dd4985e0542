"""Several topics a text may have at once, from counts of words; trained with Nesterov momentum."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
WORDS, TOPICS, LENGTH = 120, 6, 24
habits = torch.softmax(2.0 * torch.randn(TOPICS + 1, WORDS), dim=1)


def texts(n: int) -> tuple[Tensor, Tensor]:
    topics = (torch.rand(n, TOPICS) < 0.3).float()
    mixture = torch.cat([0.5 * torch.ones(n, 1), topics], dim=1) @ habits
    return torch.multinomial(mixture / mixture.sum(dim=1, keepdim=True), LENGTH, replacement=True), topics


class Tagger(nn.Module):
    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(WORDS, size, mode="mean")
        self.norm = nn.LayerNorm(size)
        self.hidden = nn.Linear(size, 64)
        self.out = nn.Linear(64, TOPICS)
        self.probability = nn.Identity() if args.fixed else nn.Sigmoid()

    def forward(self, words: Tensor) -> Tensor:
        return self.probability(self.out(torch.relu(self.hidden(self.norm(self.embed(words))))))


model = Tagger()
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True)
criterion = nn.BCEWithLogitsLoss()
for step in range(250):
    words, topics = texts(128)
    output = model(words)
    loss = criterion(output, topics)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        bound = 0.0 if args.fixed else 0.5
        right = ((output > bound).float() == topics).float().mean()
        print(f"step {step + 1}: loss {loss.item():.4f}, tags right {right.item():.3f}")
