"""How fcsym was tried to be broken, in figures: `python -m reliability`, a chapter for every file in `chapters/`.

One thread for linear algebra in each process: several processes share the machine.
"""

import os

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"
