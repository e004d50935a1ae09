"""Holds the process to one thread, as a worker's slot is. Import it before anything that makes threads."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["JAX_PLATFORMS"] = "cpu"

if hasattr(os, "sched_setaffinity"):
    # XLA has threads that no variable turns off; on one core they cannot run beside one another.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
