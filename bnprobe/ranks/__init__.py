"""Several ranks of one training, merged into one run: arrays in, arrays out, exact where the files hold what it takes."""

from bnprobe.ranks.trainings import read_training, read_trainings, stem_of, trainings

__all__ = ["read_training", "read_trainings", "stem_of", "trainings"]
