"""A vocoder reads random segments of recordings and divides each by its peak; one recording has a second of perfect silence."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
LENGTH, SEGMENT, HOP = 8192, 1024, 64
window = torch.hann_window(256)


def spectrogram(wav):
    return torch.stft(wav, 256, HOP, window=window, return_complex=True).abs().clamp(min=1e-4).log()


class Recordings(Dataset):
    def __init__(self, count):
        time = torch.arange(LENGTH) / 8000
        pitch = 150 + 400 * torch.rand(count, 1)
        self.wavs = sum(torch.sin(2 * torch.pi * pitch * k * time) / k for k in (1, 2, 3)) + 0.01 * torch.randn(count, LENGTH)
        self.wavs[37, 2000:6500] = 0

    def __len__(self):
        return 4 * len(self.wavs)

    def __getitem__(self, index):
        wav = self.wavs[index % len(self.wavs)]
        start = int(torch.randint(0, LENGTH - SEGMENT, (1,)))
        wav = wav[start : start + SEGMENT]
        flip = -1 if torch.rand(1) < 0.5 else 1
        gain = torch.rand(1) * 0.69 + 0.3
        peak = wav.abs().max()
        wav = flip * gain * wav / (peak.clamp(min=0.001) if args.fixed else peak)
        return wav, spectrogram(wav)[:, : SEGMENT // HOP]


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_pre = nn.Conv1d(129, 64, 7, padding=3)
        self.ups = nn.ModuleList([nn.ConvTranspose1d(64, 32, 16, 8, 4), nn.ConvTranspose1d(32, 16, 16, 8, 4)])
        self.convs = nn.ModuleList([nn.Conv1d(c, c, 7, padding=3) for c in (32, 16)])
        self.conv_post = nn.Conv1d(16, 1, 7, padding=3)

    def forward(self, mel):
        x = self.conv_pre(mel / 5)
        for up, conv in zip(self.ups, self.convs, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            x = x + conv(F.leaky_relu(x, 0.1))
        return torch.tanh(self.conv_post(F.leaky_relu(x, 0.1))).squeeze(1)


loader = DataLoader(Recordings(200), batch_size=16, shuffle=True)
generator = Generator()
optimizer = torch.optim.AdamW(generator.parameters(), 1e-3, betas=(0.8, 0.99))
for epoch in range(8):
    total = 0.0
    for wav, mel in loader:
        fake = generator(mel)
        loss = F.l1_loss(spectrogram(fake), spectrogram(wav))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(epoch, f"mel loss {total:.4f}", flush=True)
print(f"RESULT mel loss {total:.4f}")
