"""ResNet-20, 56 or 110 as the papers on batch norm train them: with it, without any norm, or with mean shift rejection.

CIFAR-10 if a folder is named that holds it (its python or its binary version; nothing is fetched), else the digits that come
with these scripts, drawn larger to 32x32, which take minutes instead of days. From the folder above this one:

    $ python sample_runs/cifar_resnet.py                                              # batch norm, digits, 20 layers
    $ python sample_runs/cifar_resnet.py --norm msr --depth 56
    $ python sample_runs/cifar_resnet.py --norm none --data ~/cifar-10-batches-bin --depth 110

The figures of "Understanding Batch Normalization" (Bjorck et al. 2018), and what batch norm costs:

    $ bnprobe record --figures ubn --audit -o bn.h5 sample_runs/cifar_resnet.py --data digits --norm batch --depth 110 --steps 8
    $ bnprobe record --figures ubn -o none.h5 sample_runs/cifar_resnet.py --data digits --norm none --depth 110 --steps 8
    $ bnprobe record --figures ubn -o msr.h5 sample_runs/cifar_resnet.py --data digits --norm msr --depth 110 --steps 8
    $ bnprobe report bn.h5 none.h5 msr.h5 --open
    $ bnprobe audit bn.h5
"""

from __future__ import annotations

import argparse
import math

import cifar
import torch
import torch.nn.functional as F
from cifar_network import KINDS, CifarResNet, magnitude_penalty, reject_mean_shift

#: Learning rates, that of the classifier and of biases, and weight decay: batch norm's from He et al. 2015, mean shift rejection's from its
#: authors' code, and without a norm that of Bjorck et al. 2018.
RATES = {"batch": (0.1, 0.1, 1e-4), "none": (1e-4, 1e-4, 1e-4), "msr": (0.4, 0.1, 0.0)}
EPOCHS = 200  # on CIFAR-10, as published; the digits are seen for 100 steps

parser = argparse.ArgumentParser(description="Train a residual network of He et al. 2015 on 32x32 pictures.")
parser.add_argument("--norm", choices=KINDS, default="batch", help="batch norm, none, or mean shift rejection (default: %(default)s)")
parser.add_argument("--depth", type=int, default=20, help="20, 56, 110, ... 6n + 2 (default: %(default)s)")
parser.add_argument("--data", default="digits", help="a folder with CIFAR-10, or digits (default: %(default)s)")
parser.add_argument("--learning-rate", type=float, help="default: 0.1 with batch norm, 0.0001 without, 0.4 with mean shift rejection")
parser.add_argument("--batch-size", type=int, default=128, help="pictures of a step (default: %(default)s)")
parser.add_argument("--steps", type=int, help="end after so many (default: 200 epochs of CIFAR-10, 100 steps of the digits)")
parser.add_argument("--seed", type=int, default=0, help="weights and batches (default: %(default)s)")
args = parser.parse_args()

torch.manual_seed(args.seed)
try:
    pictures = cifar.load(args.data)
    model = CifarResNet(args.depth, args.norm)
except ValueError as error:
    parser.error(str(error))
steps_per_epoch = len(pictures.train_images) // args.batch_size
if not steps_per_epoch:
    parser.error(f"a batch of {args.batch_size} from {len(pictures.train_images)} pictures: name a smaller --batch-size")
whole = EPOCHS * steps_per_epoch if pictures.are_photographs else 100
steps = args.steps or whole
print(f"data: {pictures.name}", flush=True)

rate, rate_of_rest, decay = RATES[args.norm]
if args.learning_rate is not None:
    rate, rate_of_rest = args.learning_rate, args.learning_rate * rate_of_rest / rate
rest = [parameter for name, parameter in model.named_parameters() if name.startswith("classifier") or name.endswith("bias")]
kernels = [parameter for parameter in model.parameters() if not any(parameter is one for one in rest)]
groups = [{"params": kernels, "lr": rate}, {"params": rest, "lr": rate_of_rest}]
optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, weight_decay=decay)
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [whole // 2, whole * 3 // 4])  # each time a tenth of the rate, as published

lost_steps = 0  # in a row, with a loss that is not a number any more
for step, (images, labels) in enumerate(cifar.batches(pictures, args.batch_size, steps)):
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    objective = loss + magnitude_penalty(model) if args.norm == "msr" else loss
    optimizer.zero_grad()
    objective.backward()
    if args.norm == "msr":
        reject_mean_shift(model)
    optimizer.step()
    schedule.step()

    value = loss.item()
    if step % 10 == 0 or step == steps - 1:
        accuracy = (logits.argmax(1) == labels).float().mean().item()
        print(f"step {step:3d}  loss {value:9.4g}  accuracy {accuracy:.2f}", flush=True)
    lost_steps = 0 if math.isfinite(value) else lost_steps + 1
    if lost_steps == 10:
        print(f"stopped after step {step}: the loss has not been a finite number for {lost_steps} steps")
        break
else:
    model.eval()
    right = 0.0
    with torch.no_grad():
        for images, labels in zip(pictures.test_images.split(500), pictures.test_labels.split(500), strict=True):
            right += (model(images).argmax(1) == labels).sum().item()
    print(f"test accuracy {right / len(pictures.test_labels):.3f} on {len(pictures.test_labels)} pictures never trained on")
