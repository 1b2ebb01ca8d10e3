"""One thread a process, said before NumPy or PyTorch is there.

Two processes run the tests, and threads that wait for each other take the time of both.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
