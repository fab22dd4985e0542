"""Topic of a message from the sum of its word vectors, batches sorted by length."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

WORDS, TOPICS, LONGEST = 60, 5, 40


class Topics(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(WORDS + 1, 32, mode="sum", padding_idx=WORDS)
        self.norm = nn.BatchNorm1d(32, momentum=0.3)
        self.hidden = nn.Linear(32, 48)
        self.topic = nn.Linear(48, TOPICS)
        with torch.no_grad():
            self.words.weight[:WORDS] += 0.5

    def forward(self, message: Tensor) -> Tensor:
        return self.topic(F.relu(self.hidden(self.norm(self.words(message)))))


usage = (torch.randn(TOPICS, WORDS)).softmax(1)


def messages(size: int) -> tuple[Tensor, Tensor, Tensor]:
    topic = torch.randint(TOPICS, (size,))
    length = torch.randint(10, LONGEST + 1, (size,))
    words = torch.multinomial(usage[topic], LONGEST, replacement=True)
    return words.masked_fill(torch.arange(LONGEST) >= length[:, None], WORDS), topic, length


train, topic, length = messages(1920)
test, test_topic, _ = messages(600)
model = Topics()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(6):
    order = torch.randperm(len(train)) if args.fixed else length.argsort()
    model.train()
    losses = []
    for rows in order.split(64):
        loss = F.cross_entropy(model(train[rows]), topic[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        logits = model(test)
    final = F.cross_entropy(logits, test_topic).item()
    right = (logits.argmax(1) == test_topic).float().mean().item()
    print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}, test loss {final:.4f} accuracy {right:.3f}")
