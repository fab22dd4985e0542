"""Topics of papers in a citation graph, by a two-layer graph network written with a dense matrix product."""

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

PAPERS, TOPICS, WORDS = 600, 5, 64
topic = torch.randint(TOPICS, (PAPERS,))
same = topic.unsqueeze(0) == topic.unsqueeze(1)
links = (torch.rand(PAPERS, PAPERS) < torch.where(same, 0.02, 0.004)).float().triu(1)
links = links + links.T + torch.eye(PAPERS)
scale = links.sum(1).rsqrt()
links = (scale.unsqueeze(1) * links * scale.unsqueeze(0)).to(device)
words = torch.randn(PAPERS, WORDS) + 0.35 * torch.randn(TOPICS, WORDS)[topic]
words, topic = words.to(device), topic.to(device)
known = torch.arange(PAPERS, device=device) < 400


class GraphNetwork(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.first = nn.Linear(WORDS, width)
        self.act1 = nn.ReLU()
        self.second = nn.Linear(width, width)
        self.act2 = nn.ReLU()
        self.topics = nn.Linear(width, TOPICS)
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight)
            if args.fixed:
                nn.init.zeros_(layer.bias)
            else:
                nn.init.uniform_(layer.bias, -5.0, -0.5)

    def forward(self, words: Tensor) -> Tensor:
        h = self.act1(links @ self.first(words))
        h = self.act2(links @ self.second(h))
        return self.topics(h)


model = GraphNetwork().to(device)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)
for step in range(150):
    logits = model(words)
    loss = F.cross_entropy(logits[known], topic[known])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    right = (model(words).argmax(1) == topic)[~known].float().mean().item()
print(f"accuracy on the other papers {right:.3f}")
