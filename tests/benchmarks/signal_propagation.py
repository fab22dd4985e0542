"""The two numbers of a signal-propagation plot, as a recording has them, beside those that timm computes in the same forward.

    python -m tests.benchmarks.signal_propagation [NAME ...]

Needs timm and torchvision. Each network is that of timm at its initialisation; timm's own hooks (`timm.utils.model.ActivationStatsHook`)
look at every convolution in the forward that is recorded: the average over channels of the squared mean, and of the variance. timm has the
unbiased variance, a recording the biased one, so that ours is put at n / (n - 1) with n values of a channel. What is printed is the largest
relative difference over the convolutions.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bnprobe.analyse.views import RunView
from bnprobe.store.reader import read_run

ROOT = Path(__file__).parents[2]
#: With batch norm, with scaled weight standardisation and none, with layer norm, with depthwise convolutions.
NETWORKS = ("resnet18", "resnet26t", "nf_resnet26", "dm_nfnet_f0", "efficientnet_b0", "mobilenetv3_small_100", "convnext_atto")
SIDE = 64


def train(name: str, file: Path) -> None:
    """Make one step of a network under timm's hooks, and write what they saw."""
    utilities, timm = importlib.import_module("timm.utils.model"), importlib.import_module("timm")
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=10)
    convolutions = [module_name for module_name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    sizes: list[int] = []
    seen = {"mean": [], "variance": []}  # type: dict[str, list[Any]]
    for module_name in convolutions:
        module = model.get_submodule(module_name)
        for key, function in (("mean", utilities.avg_sq_ch_mean), ("variance", utilities.avg_ch_var)):
            hook = utilities.ActivationStatsHook(model, [module_name], [function])
            seen[key].append(hook.stats[function.__name__])
        module.register_forward_hook(lambda _module, _args, output: sizes.append(output.numel() // output.shape[1]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    model(torch.randn(8, 3, SIDE, SIDE)).square().mean().backward()
    optimizer.step()
    rows = {key: [one[0] if one else float("nan") for one in values] for key, values in seen.items()}
    file.write_text(json.dumps({"names": convolutions, "sizes": sizes, **rows}), encoding="utf-8")


def compare(name: str, folder: Path) -> str:
    """Record that step and say how far apart the numbers are."""
    file, theirs = folder / f"{name}.h5", folder / f"{name}.json"
    command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(file), "-m", "tests.benchmarks.signal_propagation"]
    subprocess.run([*command, "--train", name, str(theirs)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(theirs.read_text(encoding="utf-8"))
    run = RunView.of(read_run(file))
    place = {layer.name: i for i, layer in enumerate(run.layers) if layer.role == "output"}
    known = [i for i, (layer, mean) in enumerate(zip(found["names"], found["mean"], strict=True)) if layer in place and np.isfinite(mean)]
    layers = [place[found["names"][i]] for i in known]
    signal = run.activation
    mean = signal.common_energy[0, layers].astype(float)
    size = np.array([found["sizes"][i] for i in known], dtype=float)
    variance = (signal.between_energy[0, layers] + signal.within_energy[0, layers]).astype(float) * size / (size - 1)
    apart = []
    for ours, key in ((mean, "mean"), (variance, "variance")):
        published = np.array([found[key][i] for i in known])
        apart.append(float(np.max(np.abs(ours - published) / np.maximum(np.abs(published), 1e-12))))
    return f"{name:<24} {len(known):>4} of {len(found['names']):<4} {apart[0]:>12.1e} {apart[1]:>12.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"of timm's networks (default: {', '.join(NETWORKS)})")
    parser.add_argument("--train", action="store_true", help="make the step, and nothing else: what is recorded")
    options = parser.parse_args()
    if options.train:
        train(options.name[0], Path(options.name[1]))
        return
    print(f"{'network':<24} {'convolutions':>12} {'squared mean':>12} {'variance':>12}")
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.name or NETWORKS:
            print(compare(name, Path(scratch)), flush=True)


if __name__ == "__main__":
    main()
