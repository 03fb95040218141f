"""`python -m pipelines PARENT`: the worker process, tied to the life of its parent before anything slow is imported."""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def die_with_parent(parent: int) -> None:
    """On Linux the kernel ends this process with the thread that started it, even in the middle of an import.

    Elsewhere the end of the input tells, once the imports are done.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before the kernel was asked
            os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    from pipelines.worker.process import main

    main()
