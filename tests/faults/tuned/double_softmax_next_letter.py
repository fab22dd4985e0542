"""Predicts the next letter of words made by a Markov chain, with an LSTM."""

import argparse

import torch
from torch import Tensor, nn

LETTERS = 30


class NextLetter(nn.Module):
    def __init__(self, probabilities: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS, 16)
        self.lstm = nn.LSTM(16, 48, batch_first=True)
        self.proj = nn.Linear(48, LETTERS)
        self.probabilities = probabilities

    def forward(self, text: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embed(text))
        scores = self.proj(hidden)
        return torch.softmax(scores, dim=-1) if self.probabilities else scores


def corpus(length: int, source: torch.Generator) -> Tensor:
    """A long text in which each letter has three usual successors."""
    follow = torch.stack([torch.randperm(LETTERS, generator=source) for _ in range(3)])
    which = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), length, replacement=True, generator=source)
    text = [0]
    for i in range(1, length):
        text.append(int(follow[which[i], text[-1]]))
    return torch.tensor(text)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    text = corpus(20000, torch.Generator().manual_seed(8))
    model = NextLetter(probabilities=not args.fixed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    loss_of = nn.CrossEntropyLoss()
    for step in range(160):
        start = torch.randint(len(text) - 21, (24,))
        window = text[start[:, None] + torch.arange(21)]
        scores = model(window[:, :-1])
        loss = loss_of(scores.transpose(1, 2), window[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 40 == 39:
            with torch.no_grad():
                chance = model(window[:, :-1])
                chance = chance if model.probabilities else chance.softmax(-1)
                given = chance.gather(-1, window[:, 1:, None]).clamp(min=1e-9)
            print(f"step {step}: loss {loss.item():.3f}, perplexity {given.log().mean().neg().exp():.2f}")


if __name__ == "__main__":
    main()
