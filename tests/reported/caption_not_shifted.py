"""Captions of scenes: the decoder gets the caption and is asked for that same caption, not for its next word."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
START, END = 0, 1
KINDS, COLOURS, PLACES = 6, 5, 4
VOCABULARY = 2 + KINDS + COLOURS + PLACES + 2
looks = torch.randn(KINDS + COLOURS + PLACES, 32)


def scenes(count):
    kind, colour, place = torch.randint(KINDS, (count,)), torch.randint(COLOURS, (count,)), torch.randint(PLACES, (count,))
    image = looks[kind] + looks[KINDS + colour] + looks[KINDS + COLOURS + place] + 0.3 * torch.randn(count, 32)
    a, on = torch.full((count,), VOCABULARY - 2), torch.full((count,), VOCABULARY - 1)
    words = [a, 2 + KINDS + colour, 2 + kind, on, 2 + KINDS + COLOURS + place]
    return image, torch.stack([torch.full((count,), START), *words, torch.full((count,), END)], 1)


class EncoderCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(32, 64)
        self.bn = nn.BatchNorm1d(64, momentum=0.01)

    def forward(self, images):
        return self.bn(self.linear(images))


class DecoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 64)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.linear = nn.Linear(64, VOCABULARY)

    def forward(self, features, captions):
        state = features[None].contiguous()
        hidden, _ = self.lstm(self.embed(captions), (state, torch.zeros_like(state)))
        return self.linear(hidden)

    def sample(self, features, length):
        words = torch.full((len(features), 1), START)
        for _ in range(length):
            words = torch.cat([words, self(features, words)[:, -1:].argmax(-1)], 1)
        return words[:, 1:]


images, captions = scenes(3000)
encoder, decoder = EncoderCNN(), DecoderRNN()
optimizer = torch.optim.Adam([*decoder.parameters(), *encoder.parameters()], lr=1e-3)
for epoch in range(8):
    for batch in torch.randperm(len(images)).split(32):
        if args.fixed:
            inputs, targets = captions[batch, :-1], captions[batch, 1:]
        else:
            inputs, targets = captions[batch], captions[batch]
        outputs = decoder(encoder(images[batch]), inputs)
        loss = F.cross_entropy(outputs.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, f"loss {loss.item():.4f}", flush=True)
encoder.eval()
with torch.no_grad():
    fresh, truth = scenes(500)
    right = (decoder.sample(encoder(fresh), 6) == truth[:, 1:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} words right {right:.3f}")
