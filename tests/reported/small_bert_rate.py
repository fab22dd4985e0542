"""A small BERT of a tutorial, post-norm and without warm-up, learns masked words of a dialogue at the rate 0.001, or does not."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
WORDS, LENGTH, BATCH, LAYERS, HEADS, WIDTH = 40, 24, 6, 5, 8, 224
MASK, CLS, SEP = 0, 1, 2
sentences = [torch.randint(3, WORDS, (10,)) for _ in range(9)]


def make_batch():
    ids, segments, words, places, follows = [], [], [], [], []
    for k in range(BATCH):
        a = int(torch.randint(0, 8, (1,)))
        b = a + 1 if k % 2 else (a + 3) % 9
        line = torch.cat([torch.tensor([CLS]), sentences[a], torch.tensor([SEP]), sentences[b], torch.tensor([SEP, SEP])])
        place = torch.randperm(20)[:4]
        place = place + 1 + (place >= 10)
        words.append(line[place])
        line = line.clone()
        line[place] = MASK
        ids.append(line)
        segments.append((torch.arange(LENGTH) > 11).long())
        places.append(place)
        follows.append(k % 2)
    return torch.stack(ids), torch.stack(segments), torch.stack(words), torch.stack(places), torch.tensor(follows)


class EncoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.W_Q, self.W_K, self.W_V = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.linear, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = (w(x).view(len(x), LENGTH, HEADS, -1).transpose(1, 2) for w in (self.W_Q, self.W_K, self.W_V))
        attention = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS), -1)
        context = (attention @ v).transpose(1, 2).reshape(len(x), LENGTH, WIDTH)
        x = self.norm(self.linear(context) + x)
        return self.fc2(F.gelu(self.fc1(x)))


class BERT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_embed, self.pos_embed, self.seg_embed = nn.Embedding(WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH), nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(LAYERS))
        self.fc, self.classifier = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.linear, self.norm2 = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.decoder = nn.Linear(WIDTH, WORDS, bias=False)
        self.decoder.weight = self.tok_embed.weight
        self.decoder_bias = nn.Parameter(torch.zeros(WORDS))

    def forward(self, ids, segments, places):
        x = self.norm(self.tok_embed(ids) + self.pos_embed(torch.arange(LENGTH)) + self.seg_embed(segments))
        for layer in self.layers:
            x = layer(x)
        follows = self.classifier(torch.tanh(self.fc(x[:, 0])))
        masked = torch.gather(x, 1, places[:, :, None].expand(-1, -1, WIDTH))
        masked = self.norm2(F.gelu(self.linear(masked)))
        return self.decoder(masked) + self.decoder_bias, follows


model = BERT()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4 if args.fixed else 1e-3)
ids, segments, words, places, follows = make_batch()
for epoch in range(120):
    logits_lm, logits_clsf = model(ids, segments, places)
    loss = F.cross_entropy(logits_lm.transpose(1, 2), words) + F.cross_entropy(logits_clsf, follows)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 40 == 39:
        print(epoch, f"cost {loss.item():.4f}", flush=True)
right = (logits_lm.argmax(-1) == words).float().mean().item()
print(f"RESULT cost {loss.item():.4f} masked words right {right:.3f}")
