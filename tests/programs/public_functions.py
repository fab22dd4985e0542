"""What a script may do with torch's public functions besides calling them: pickle them, ask for their signature, import them by name."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, get_total_norm

PUBLIC = [
    *(torch.autograd.backward, torch.autograd.grad, torch.Tensor.backward, torch.Tensor.register_hook),
    *(clip_grad_norm_, get_total_norm, torch.nn.utils.clip_grads_with_norm_, torch.compile),
    *(torch.amp.GradScaler.scale, torch.amp.GradScaler.step, torch.nn.Module.eval, torch.nn.Module.load_state_dict),
    *(torch.optim.Optimizer.add_param_group, torch.optim.SGD.step, torch.optim.Optimizer.__init__),
]
for function in PUBLIC:
    assert copy.deepcopy(function) is function
    try:
        loaded = pickle.loads(pickle.dumps(function)) is function
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        loaded = type(error).__name__
    try:
        signature = str(inspect.signature(function))
    except ValueError:
        signature = "none"
    print(function.__qualname__, type(function).__name__, loaded, signature)
clip = pickle.loads(pickle.dumps(functools.partial(clip_grad_norm_, max_norm=0.5)))
assert torch.nn.utils.clip_grad_norm_ is torch.nn.utils.clip_grad.clip_grad_norm_ is clip.func

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    print("clip", float(clip(model.parameters())))
    say_loss(loss)
    optimizer.step()
digest(model)
