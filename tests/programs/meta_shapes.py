"""Shapes worked out on the meta device and on fake tensors before and while training."""

import copy

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(4)):
    if step in (0, 2):
        print(copy.deepcopy(model).to("meta")(x.to("meta")).shape)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            print(model(mode.from_tensor(x)).shape)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
