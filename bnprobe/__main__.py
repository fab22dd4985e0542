"""``python -m bnprobe``, the way in for launchers: ``torchrun --nproc-per-node=4 -m bnprobe record train.py``."""

from bnprobe.cli import main

if __name__ == "__main__":
    main()
