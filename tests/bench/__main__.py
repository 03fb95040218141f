"""`python3 launch.py bench NAME [...]`: run one benchmark, or name them all."""

from __future__ import annotations

import runpy
import sys

from tests.bench import NAMES


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in NAMES:
        print("python3 launch.py bench NAME, where NAME is one of: " + ", ".join(NAMES))
        return 0 if argv in ([], ["--help"], ["-h"]) else 1
    name, *rest = argv
    sys.argv = [name, *rest]
    runpy.run_module(NAMES[name], run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
