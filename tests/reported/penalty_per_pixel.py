"""A critic with a gradient penalty and a generator of small digits."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1
BATCH, NOISE = 64, 16

generator = nn.Sequential(
    nn.Linear(NOISE, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))
)
critic = nn.Sequential(
    nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(512, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)
for_generator = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.5, 0.9))
for_critic = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))


def slopes(real, fake):
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real + (1 - share) * fake).requires_grad_()
    return torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]


for step in range(200):
    for _ in range(3):
        real = images[torch.randint(len(images), (BATCH,))]
        fake = generator(torch.randn(BATCH, NOISE)).detach()
        gradients = slopes(real, fake)
        if args.fixed:
            gradients = gradients.flatten(1)
        penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
        critic_loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        for_critic.zero_grad()
        critic_loss.backward()
        for_critic.step()
    generator_loss = -critic(generator(torch.randn(BATCH, NOISE))).mean()
    for_generator.zero_grad()
    generator_loss.backward()
    for_generator.step()
    if step % 20 == 0:
        print(step, f"critic {critic_loss.item():.3f}, generator {generator_loss.item():.3f}", flush=True)
size = slopes(real, fake).flatten(1).norm(dim=1).mean().item()
print(f"RESULT slope of the critic {size:.2f}, critic {critic_loss.item():.2f}, generator {generator_loss.item():.2f}")
