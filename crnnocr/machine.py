"""What this machine has."""

from __future__ import annotations

import os


def share_cores() -> None:
    """Have torch's threads wait for each other asleep, but for a moment. To be called before torch is loaded.

    They wait awake by default, and where another program uses a core too, each then waits for one that does not run: training
    took ten times as long. With this it takes three times as long, and as long as before where nothing else runs.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def without_blas_threads() -> None:
    """Have numpy start no threads for linear algebra: reading has none, and they cost a fifth of what it takes to read one
    picture. To be called before numpy is loaded.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def cores() -> int:
    """How many processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
