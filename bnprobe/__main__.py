"""``python -m bnprobe``, the way in for launchers: ``torchrun --nproc-per-node=4 -m bnprobe record train.py``."""

import sys

if __name__ == "__main__":
    if not (getattr(sys.flags, "safe_path", False) or sys.flags.isolated):
        # Python has put the current folder in front, in which a script's modules would pass for those that we import. Its place is kept
        # for that of a script: by a path in which nothing is found.
        sys.path[0] = __file__
    from bnprobe.cli import main

    main()
