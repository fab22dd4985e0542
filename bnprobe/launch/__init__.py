"""Run the user's file or module exactly as python would, and end its recording well.

Nothing in this package imports torch, numpy or h5py: a script that sets ``OMP_NUM_THREADS`` or CUDA variables before its own
imports must find them unread.
"""
