"""Finds what callers want from the transcript of their first sentence: embedded words and gated convolutions."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS, LENGTH, INTENTS, WIDTH = 200, 16, 7, 48


def transcripts(count: int) -> tuple[Tensor, Tensor]:
    intent = torch.randint(0, INTENTS, (count,))
    text = torch.randint(0, WORDS, (count, LENGTH))
    key = 20 * intent.unsqueeze(1) + torch.randint(0, 20, (count, LENGTH))
    return torch.where(torch.rand(count, LENGTH) < 0.35, key, text), intent


class Embeddings(nn.Module):
    """Words, their places in the sentence, and who speaks: 0 the caller, 1 the agent."""

    def __init__(self, speaker_scale: float) -> None:
        super().__init__()
        self.word = nn.Embedding(WORDS, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.speaker = nn.Embedding(2, WIDTH)
        nn.init.normal_(self.word.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)
        nn.init.normal_(self.speaker.weight, std=speaker_scale)

    def forward(self, text: Tensor) -> Tensor:
        return self.word(text) + self.place.weight + self.speaker(torch.zeros_like(text))


class GatedBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.mix = nn.Conv1d(WIDTH, 2 * WIDTH, 3, padding=1)
        self.gate = nn.GLU(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate(self.mix(self.norm(x).transpose(1, 2))).transpose(1, 2)


class IntentNet(nn.Module):
    def __init__(self, speaker_scale: float) -> None:
        super().__init__()
        self.embeddings = Embeddings(speaker_scale)
        self.blocks = nn.Sequential(GatedBlock(), GatedBlock(), GatedBlock())
        self.last = nn.LayerNorm(WIDTH)
        self.intent = nn.Linear(WIDTH, INTENTS)

    def forward(self, text: Tensor) -> Tensor:
        return self.intent(self.last(self.blocks(self.embeddings(text))).mean(1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    model = IntentNet(speaker_scale=0.02 if args.fixed else 1.0)
    optimizer = torch.optim.RAdam(model.parameters(), lr=1e-3)
    losses = []
    for step in range(160):
        text, intent = transcripts(48)
        loss = F.cross_entropy(model(text), intent)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 20 == 19:
            print(f"step {step}: loss {sum(losses[-20:]) / 20:.4f}")
