"""`python launch.py train NAME [--resume] [--minutes N]`: make a starter model again, or go on with a run that was stopped."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

# name → the module whose `run(run_dir, assets, resume=…, minutes=…, threads=…)` trains it and writes the shipped folder
RECIPES = {
    "starter-image": "pipelines.training.starter.image_run",
    "starter-text": "pipelines.training.starter.language_text",
    "starter-code": "pipelines.training.starter.language_code",
}
ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Train one starter model in `data/training/NAME` and write it to its folder in `assets/starter`."""
    parser = argparse.ArgumentParser(
        prog="launch.py train", description="Train a starter model from scratch, or go on."
    )
    parser.add_argument("name", choices=list(RECIPES))
    parser.add_argument("--resume", action="store_true", help="Go on from the newest checkpoint.")
    parser.add_argument("--minutes", type=float, help="Stop after so many minutes; the checkpoint stays.")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 lets torch choose.")
    parser.add_argument("--run-dir", type=Path, help="Where checkpoints go (data/training/NAME).")
    parser.add_argument("--out", type=Path, help="Where the finished folder goes (assets/starter/…).")
    chosen = parser.parse_args(argv)
    run_dir = chosen.run_dir or ROOT / "data" / "training" / chosen.name
    out = chosen.out or ROOT / "assets" / "starter" / chosen.name.removeprefix("starter-")
    try:
        recipe = importlib.import_module(RECIPES[chosen.name])
        recipe.run(run_dir, out, resume=chosen.resume, minutes=chosen.minutes, threads=chosen.threads)
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
