"""Turn a folder's pickled weights into safetensors, once, with torch's weights-only reader: no code in the file can run.

Run as `python3 launch.py models convert FOLDER`. The pickle stays; the safetensors file beside it records its SHA-256.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from pipelines.disk import whole
from pipelines.errors import ModelUnavailable, StudioError

PICKLES = ("pytorch_model.bin", "diffusion_pytorch_model.bin", "model.pt", "model.ckpt")
SUFFIXES = {".bin", ".pt", ".pth", ".ckpt"}


def convert(path: Path) -> list[Path]:
    """Convert a pickle, or every pickle in a folder; returns the new files.

    Tied tensors are stored once (the first of their names), as both libraries expect. Raises ModelUnavailable when a file holds
    more than tensors.
    """
    import torch
    from safetensors.torch import save_file

    pickles = (
        [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.suffix in SUFFIXES]
    )
    if not pickles:
        raise ModelUnavailable(
            f"There is no pickled weights file in {path}.", hint="Looked for .bin, .pt, .pth and .ckpt."
        )
    made = []
    for pickle in pickles:
        try:
            state = torch.load(pickle, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ModelUnavailable(
                f"{pickle.name} holds more than weights, or is damaged; it was not opened further.",
                detail=str(error).splitlines()[0][:300],
                hint="Ask its maker for a safetensors file.",
            ) from None
        state = state.get("state_dict", state) if isinstance(state, dict) else {}
        if not any(isinstance(tensor, torch.Tensor) for tensor in getattr(state, "values", list)()):
            raise ModelUnavailable(
                f"{pickle.name} holds no weights by name.", hint="Give the file or folder of a whole model."
            )
        seen: set[tuple[int, int, tuple[int, ...]]] = set()
        tensors = {}
        for name, tensor in state.items():
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape))
            if storage not in seen:
                seen.add(storage)
                tensors[name] = tensor.contiguous().clone()
        target = pickle.with_name(pickle.stem.replace("pytorch_model", "model", 1) + ".safetensors")
        if pickle.name.startswith("diffusion_"):
            target = pickle.with_suffix(".safetensors")
        with pickle.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with whole(target) as part:
            save_file(tensors, part, metadata={"format": "pt", "converted_from_sha256": digest})
        made.append(target)
    return made


if __name__ == "__main__":
    try:
        for file in convert(Path(sys.argv[1])):
            print(file)
    except StudioError as error:
        print(error.problem(), file=sys.stderr)
        sys.exit(1)
