"""Tours of eight cities by actor and critic: the critic's guess stands in the actor's loss with its graph, and is trained by both."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
CITIES, WIDTH = 8, 48


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(2, WIDTH)
        self.layer = nn.TransformerEncoderLayer(WIDTH, 4, 96, 0.0, batch_first=True)

    def forward(self, cities):
        return self.layer(self.embed(cities))


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.query, self.key = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, cities, greedy=False):
        nodes, rows = self.encoder(cities), torch.arange(len(cities))
        keys, seen = self.key(nodes), torch.zeros(len(cities), CITIES, dtype=torch.bool)
        last = first = torch.zeros(len(cities), dtype=torch.long)
        tour, log_prob = [first], torch.zeros(len(cities))
        for _ in range(CITIES - 1):
            seen = seen | F.one_hot(last, CITIES).bool()
            query = self.query(torch.cat([nodes[rows, first], nodes[rows, last]], 1))
            scores = 10 * torch.tanh((keys @ query[:, :, None]).squeeze(2) / WIDTH**0.5)
            choice = torch.distributions.Categorical(logits=scores.masked_fill(seen, -1e9))
            last = choice.probs.argmax(1) if greedy else choice.sample()
            log_prob = log_prob + choice.log_prob(last)
            tour.append(last)
        path = cities[rows[:, None], torch.stack(tour, 1)]
        return (path - path.roll(-1, 1)).norm(dim=2).sum(1), log_prob


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Sequential(nn.Linear(WIDTH, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, cities):
        return self.head(self.encoder(cities).mean(1)).squeeze(1)


actor, critic = Actor(), Critic()
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=1e-3)
for step in range(450):
    cities = torch.rand(64, CITIES, 2)
    length, log_prob = actor(cities)
    guess = critic(cities)
    advantage = length - (guess.detach() if args.fixed else guess)
    loss1 = (advantage * log_prob).mean()
    loss2 = F.mse_loss(guess, length)
    optimizer.zero_grad()
    (loss1 + loss2).backward()
    nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 1.0)
    optimizer.step()
    if step % 90 == 89:
        print(step, f"length {length.mean().item():.3f} guess {guess.mean().item():.3f} critic loss {loss2.item():.4f}", flush=True)
with torch.no_grad():
    best = actor(torch.rand(500, CITIES, 2), greedy=True)[0].mean().item()
print(f"RESULT length {best:.3f} critic loss {loss2.item():.4f}")
