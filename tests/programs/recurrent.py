"""LSTM (time first), GRU (batch first), a packed LSTM, and an LSTMCell in a loop over time."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 6)
        self.gru = nn.GRU(6, 4, batch_first=True)
        self.packed = nn.LSTM(4, 4, batch_first=True)
        self.cell = nn.LSTMCell(4, 3)

    def forward(self, x):
        x, _ = self.lstm(x)
        x, _ = self.gru(x.transpose(0, 1))
        _, (h, _) = self.packed(pack_padded_sequence(x, [7] * x.shape[0], batch_first=True))
        state = None
        for t in range(5):
            state = self.cell(x[:, t], state)
        return state[0] + h[0, :, :3]


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for x, y in batches(3, 4, 7, 5):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x.transpose(0, 1)), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
