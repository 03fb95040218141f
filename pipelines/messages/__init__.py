"""All that crosses between server and worker: requests, commands, events, artifacts. Imports no torch.

`requests/` has a class for every task, `knobs` what a field of one is declared with, `events` what the two sides tell each other,
`wire` how that crosses a pipe, `spec` what a model on offer is, `modalities` the record of each modality. A part is imported when
a name of it is first asked for: who wants the modalities alone, as the process that reads strangers' files does, loads no
pydantic.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.messages.events import *  # noqa: F403
    from pipelines.messages.knobs import *  # noqa: F403
    from pipelines.messages.modalities import *  # noqa: F403
    from pipelines.messages.requests import *  # noqa: F403
    from pipelines.messages.spec import *  # noqa: F403
    from pipelines.messages.wire import *  # noqa: F403

PARTS = ("modalities", "spec", "wire", "knobs", "requests", "events")
"""The lightest first: what is found in one loads none of those after it."""


def __getattr__(name: str) -> object:
    if not name.startswith("_") and name not in PARTS:
        for part in PARTS:
            module = import_module(f"{__name__}.{part}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
