"""nn.TransformerEncoder on (N, T, C), evaluated on its fast path between steps."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
model = nn.TransformerEncoder(layer, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3, 4, 5, 8):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x).mean(1), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    model.eval()
    with torch.no_grad():
        print("evaluation", float(F.cross_entropy(model(x, src_key_padding_mask=torch.arange(5) > torch.full((4, 1), 3)).mean(1), y)))
digest(model)
