"""Benchmarks: `python -m benchmarks`, on one core, with one thread for linear algebra (NumPy reads it when loaded)."""

import os

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_threads] = "1"


def on_one_core() -> None:
    """Keep this process and all that it starts on one core: for a main program, an import must not take cores away."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
