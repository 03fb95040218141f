"""`python launch.py bench starter [image|text|code] [--small]`: score the shipped starter models, for their model cards."""

import argparse
import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

# model → the module whose `bench(folder, run_dir) -> str` scores it; the answer is Markdown for its card
EVALUATIONS = {
    "image": "pipelines.training.starter.evaluate_image",
    "text": "pipelines.training.starter.evaluate_language",
    "code": "pipelines.training.starter.evaluate_language",
}
ROOT = Path(__file__).resolve().parents[3]
OPEN, CLOSE = "<!-- scores: written by `launch.py bench starter` -->", "<!-- end of scores -->"


def main(argv: Sequence[str] | None = None) -> int:
    """Score the named starter models, or all; print the scores and put them between the marks in each README."""
    parser = argparse.ArgumentParser(prog="launch.py bench starter", description="Score the starter models.")
    parser.add_argument("names", nargs="*", help="Which: " + ", ".join(EVALUATIONS) + ". All when left out.")
    parser.add_argument("--small", action="store_true", help="A few examples, and nothing is written.")
    told = parser.parse_args(argv)
    for name in told.names or list(EVALUATIONS):
        folder = ROOT / "assets" / "starter" / name
        evaluation = importlib.import_module(EVALUATIONS[name])
        if told.small:
            with tempfile.TemporaryDirectory() as run_dir:
                print(f"## starter/{name}\n\n{evaluation.bench(folder, Path(run_dir), small=True)}\n")
            continue
        scores = evaluation.bench(folder, ROOT / "data" / "training" / f"starter-{name}")
        print(f"## starter/{name}\n\n{scores}\n")
        write_scores(folder / "README.md", scores)
    return 0


def write_scores(card: Path, scores: str) -> None:
    """Replace what stands between the marks; raises ValueError if the card has none."""
    before, _, rest = card.read_text().partition(OPEN)
    _, found, after = rest.partition(CLOSE)
    if not found:
        raise ValueError(
            f"{card} has no place for scores. Add these two lines where they belong:\n{OPEN}\n{CLOSE}"
        )
    card.write_text(f"{before}{OPEN}\n\n{scores}\n\n{CLOSE}{after}")


if __name__ == "__main__":
    raise SystemExit(main())
