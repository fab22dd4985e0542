"""Finds the decisive sentence of a document: attention that is summed by hand, in mixed precision."""

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


class Evidence(nn.Module):
    """Mean of the values, weighted by the exponential of the scores."""

    def forward(self, scores: Tensor, values: Tensor) -> Tensor:
        if args.fixed:
            scores = scores.float()
        weights = scores.exp()
        return (weights.unsqueeze(2) * values).sum(1) / weights.sum(1, keepdim=True)


class Documents(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.question = nn.Linear(inputs, width)
        self.key = nn.Linear(inputs, width)
        self.value = nn.Linear(inputs, width)
        self.evidence = Evidence()
        self.out = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 4))

    def forward(self, question: Tensor, sentences: Tensor) -> Tensor:
        scores = torch.einsum("bw,bsw->bs", self.question(question), self.key(sentences))
        return self.out(self.evidence(scores, self.value(sentences)))


topics = torch.randn(12, 24)


def documents(count: int) -> tuple[Tensor, Tensor, Tensor]:
    topic = torch.stack([torch.randperm(12)[:8] for _ in range(count)])
    answer, asked = torch.randint(4, (count, 8)), torch.randint(8, (count,))
    sentences = torch.cat([topics[topic], 2 * F.one_hot(answer, 4).float()], 2) + 0.2 * torch.randn(count, 8, 28)
    rows = torch.arange(count)
    question = torch.cat([topics[topic[rows, asked]], torch.zeros(count, 4)], 1)
    return question, sentences, answer[rows, asked]


model = Documents(28, 128).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(120):
    question, sentences, answer = documents(64)
    with torch.autocast(device.type, dtype=torch.float16):
        logits = model(question.to(device), sentences.to(device))
    loss = F.cross_entropy(logits.float(), answer.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f} accuracy {(logits.argmax(1).cpu() == answer).float().mean().item():.2f}")
