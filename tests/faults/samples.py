"""A few recordings of the library that lie in the repository, so that rules are judged on real trainings without any being run.

    python -m tests.faults.samples           # records them anew, where the recorder or a program has changed since, and writes the archive

The archive is one stream of small run files, compressed together. They hold what today's rules read; a rule that reads more asks for a new
archive (a test says so).
"""

from __future__ import annotations

import lzma
import sys
import tarfile
import tempfile
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np

from bnprobe.diagnose import diagnose
from bnprobe.store.reader import Run, read_run
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HERE
from tests.faults.recording import Recording, Take, kept, record_missing

ARCHIVE = HERE / "samples.tar.xz"
#: By name: a program, and whether it runs without its fault.
SAMPLES: dict[str, tuple[str, bool]] = {
    "batch-norm-reused": ("batch_norm_reused_cnn", False),
    "batch-norm-small-batch": ("batch_norm_small_batch_cnn", False),
    "batch-norm-small-batch-removed": ("batch_norm_small_batch_cnn", True),
    "batch-norm-train-eval-gap": ("batch_norm_train_eval_gap_cnn", False),
    "dead-units": ("dead_units_mlp", False),
    "double-softmax": ("double_softmax_mlp", False),
    "eval-mode-training": ("eval_mode_training_cnn", False),
    "exploding-activations": ("exploding_activations_mlp", False),
    "exploding-gradients": ("exploding_gradients_rnn", False),
    "exploding-gradients-removed": ("exploding_gradients_rnn", True),
    "frozen-parameters": ("frozen_parameters_mlp", False),
    "half-precision-overflow": ("half_precision_overflow_mlp", False),
    "healthy": ("healthy_accumulation", False),
    "learning-rate-too-high": ("learning_rate_too_high_mlp", False),
    "learning-rate-too-high-removed": ("learning_rate_too_high_mlp", True),
    "learning-rate-too-low": ("learning_rate_too_low_cnn", False),
    "loss-spike": ("loss_spike_mlp", False),
    "mean-shift": ("mean_shift_mlp", False),
    "missing-zero-grad": ("missing_zero_grad_mlp", False),
    "missing-zero-grad-removed": ("missing_zero_grad_mlp", True),
    "numerical-fault": ("numerical_fault_normalisation", False),
    "saturated-units": ("saturated_units_mlp", False),
    "symmetric-initialisation": ("symmetric_initialisation_mlp", False),
    "unscaled-input": ("unscaled_input_mlp", False),
    "unscaled-input-removed": ("unscaled_input_mlp", True),
    "vanishing-gradients": ("vanishing_gradients_mlp", False),
    "vanishing-gradients-removed": ("vanishing_gradients_mlp", True),
    "broadcast-loss": ("broadcast_loss_regression", False),
    "clipped-before-unscaling": ("clipped_before_unscaling_digits", False),
    "clipping-too-tight": ("clipping_too_tight_digits", False),
    "detached-loss": ("detached_loss_collected", False),
    "dropout-too-strong": ("dropout_too_strong_digits", False),
    "flat-second-derivative": ("flat_second_derivative_rod", False),
    "gradients-cleared": ("gradients_cleared_digits", False),
    "lost-updates": ("lost_updates_fine_tuning", False),
    "no-optimizer-step": ("no_optimizer_step_scheduler", False),
    "one-class-softmax": ("one_class_softmax_alarm", False),
    "probabilities-for-logarithms": ("probabilities_for_logarithms_digits", False),
    "mixed-samples": ("mixed_samples_directions", False),
    "rectified-logits": ("rectified_logits_digits", False),
    "saturated-attention": ("saturated_attention_dictionary", False),
    "idle-experts": ("idle_experts_menus", False),
    "softmax-over-batch": ("softmax_over_batch_classes", False),
    "mixed-samples-attention": ("mixed_samples_attention", False),
    "targets-out-of-range": ("targets_out_of_range_painter", False),
    "unscaled-outputs": ("unscaled_outputs_ratings", False),
    "unscaled-targets": ("unscaled_targets_prices", False),
    "unshuffled-data": ("unshuffled_data_digits", False),
    "weight-decay-too-strong": ("weight_decay_too_strong_mlp", False),
}
_BY_NAME = {program.name: program for program in PROGRAMS}


class Samples:
    """The archive, unpacked into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(folder, filter="data")

    def __getitem__(self, name: str) -> Recording:
        return Recording(self.take(name), self._folder / f"{name}.h5")

    def files(self) -> list[Path]:
        """The run files of all samples."""
        return [self[name].file for name in SAMPLES]

    @staticmethod
    def take(name: str) -> Take:
        """How a sample was made."""
        program, fixed = SAMPLES[name]
        return Take(_BY_NAME[program], fixed)


def write() -> None:
    """Write the archive, of recordings made by today's recorder.

    Raises:
        RuntimeError: a program ended badly.
    """
    takes = {name: Samples.take(name) for name in SAMPLES}
    record_missing(list(takes.values()), jobs=2)
    recordings = {name: kept(take) for name, take in takes.items()}
    for name, recording in recordings.items():
        if recording is None or recording.error:
            raise RuntimeError(f"{name} ended badly: {recording.error if recording else 'no recording'}")
    names = read_by_rules(recording.file for recording in recordings.values() if recording is not None)
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(ARCHIVE, "w:xz", preset=9 | lzma.PRESET_EXTREME) as archive:
        for name, recording in recordings.items():
            assert recording is not None
            small = Path(scratch) / f"{name}.h5"
            reduce(recording.file, small, names)
            archive.add(small, small.name, filter=_anonymous)
    print(f"{ARCHIVE.name}: {len(takes)} recordings, {ARCHIVE.stat().st_size / 1e6:.2f} MB", file=sys.stderr)


def read_by_rules(files: Iterable[Path]) -> set[str]:
    """The variables that a diagnosis of these run files reads, and those that name their rows."""
    names: set[str] = set()
    look_up = Run.__getitem__

    def noted(run: Run, name: str) -> Any:
        names.add(name)
        return look_up(run, name)

    with patch.object(Run, "__getitem__", noted):
        for file in files:
            diagnose(read_run(file))
    return names


def reduce(source: Path, target: Path, names: Container[str]) -> None:
    """Write a run file anew, in a form that compresses well together with others.

    Args:
        source: a run file.
        target: where the small one goes.
        names: variables to keep.
    """
    with h5py.File(source) as whole, h5py.File(target, "w", libver="latest") as small:
        small.attrs.update(whole.attrs)
        for name, part in whole.items():
            if name in names:
                shuffled = {"chunks": part.shape, "shuffle": True} if part.nbytes > 256 else {}
                small.create_dataset(name, data=_rounded(part[()]), dtype=part.dtype, **shuffled)


def _rounded(values: Any) -> Any:
    """Float64 to the 24 binary digits of a float32, in its own range: the rest is noise that does not compress."""
    if values.dtype != np.float64:
        return values
    with np.errstate(all="ignore"):
        fraction, exponent = np.frexp(values)
        return np.ldexp(fraction.astype(np.float32).astype(np.float64), exponent)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same archive from the same recordings, whoever writes it."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    write()
