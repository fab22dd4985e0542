"""The 1,797 handwritten digits of `sample_runs/`, where their origin and licence are stated."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FILE = Path(__file__).parents[3] / "sample_runs" / "digits.csv.gz"


def load(side: int = 8, standardise: bool = True) -> tuple[Tensor, Tensor]:
    """Return images (1797, 1, side, side) of mean 0 and deviation 1, or from 0 to 16 as in the file, and labels (1797,)."""
    table = np.loadtxt(FILE, delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(0).permutation(len(table))]
    images = torch.from_numpy(table[:, :64]).reshape(-1, 1, 8, 8)
    if side != 8:
        images = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
    if standardise:
        images = (images - images.mean()) / images.std()
    return images, torch.from_numpy(table[:, 64]).long()
