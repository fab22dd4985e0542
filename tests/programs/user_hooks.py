"""The script's own hooks: one replaces an output, one changes a gradient, full backward hooks look on, a global one counts."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook

calls = []
register_module_forward_hook(lambda module, args, output: calls.append(type(module).__name__))
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
model[0].register_forward_hook(lambda module, args, output: output * 2)
model[2].register_full_backward_hook(lambda module, inputs, outputs: print("seen", float(outputs[0].norm())))
model[2].register_full_backward_pre_hook(lambda module, outputs: (outputs[0] * 0.5,))
model[3].register_forward_pre_hook(lambda module, args: (args[0] + 0.1,))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    hidden = model[1](model[0](x))
    hidden.register_hook(lambda gradient: gradient.clamp(-0.01, 0.01))
    loss = F.cross_entropy(model[4](model[3](model[2](hidden))), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
print(calls)
digest(model)
