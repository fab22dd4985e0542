"""Every family of learning rate schedulers, each with an optimizer of its own."""

import torch
from common import batches, digest, say_loss, say_rates, small_network
from torch.nn import functional as F
from torch.optim import lr_scheduler as s

FAMILIES = {
    "LambdaLR": lambda o: s.LambdaLR(o, lambda step: 1 / (step + 1)),
    "MultiplicativeLR": lambda o: s.MultiplicativeLR(o, lambda step: 0.9),
    "StepLR": lambda o: s.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda o: s.MultiStepLR(o, [1, 2], 0.5),
    "ConstantLR": lambda o: s.ConstantLR(o, 0.5, 2),
    "LinearLR": lambda o: s.LinearLR(o, 0.1, total_iters=3),
    "ExponentialLR": lambda o: s.ExponentialLR(o, 0.8),
    "SequentialLR": lambda o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)], [2]),
    "PolynomialLR": lambda o: s.PolynomialLR(o, 4, 2.0),
    "CosineAnnealingLR": lambda o: s.CosineAnnealingLR(o, 4),
    "ChainedScheduler": lambda o: s.ChainedScheduler([s.StepLR(o, 2), s.ExponentialLR(o, 0.9)]),
    "CyclicLR": lambda o: s.CyclicLR(o, 0.01, 0.1, step_size_up=2),
    "OneCycleLR": lambda o: s.OneCycleLR(o, 0.3, total_steps=5),
    "CosineAnnealingWarmRestarts": lambda o: s.CosineAnnealingWarmRestarts(o, 2),
    "ReduceLROnPlateau": lambda o: s.ReduceLROnPlateau(o, patience=0),
}
model = small_network()
for make in FAMILIES.values():
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    schedule = make(optimizer)
    for x, y in batches(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        say_loss(loss)
        say_rates(optimizer)
        optimizer.step()
        schedule.step(*([1.0] if isinstance(schedule, s.ReduceLROnPlateau) else []))
digest(model)
