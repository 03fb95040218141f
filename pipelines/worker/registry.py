"""Who carries out what: one row for a task, and one for a task with models of one loader where those go another way.

The crafts are reached by these names only, imported when first wanted: some bring torch and a library with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module

from pipelines.catalog.families import FAMILIES
from pipelines.messages import BaseRequest
from pipelines.runtime.pipeline import Pipeline


@dataclass(frozen=True)
class Row:
    """task: as `REQUESTS` names it. path: the module and class of its `Pipeline`. loader: the family it is for, "" for the rest.

    needs_torch: whether the task itself does; asked where there is no model, otherwise its family tells.
    """

    task: str
    path: str
    loader: str = ""
    needs_torch: bool = True


ROWS: tuple[Row, ...] = (
    Row("text", "pipelines.language.text:TextPipeline"),
    Row("code", "pipelines.language.code:CodePipeline"),
    Row("image", "pipelines.diffusion.image:ImagePipeline"),
    Row("image", "pipelines.illustrator.engine:Illustrator", loader="illustrator", needs_torch=False),
    Row("audio", "pipelines.audio.audio:AudioPipeline"),
    Row("video", "pipelines.video.video:VideoPipeline"),
    Row("video", "pipelines.illustrator.film:IllustratedVideo", loader="illustrator", needs_torch=False),
)


def row_for(task: str, loader: str) -> Row:
    """The row of a task with a model of that loader."""
    rows = [row for row in ROWS if row.task == task and row.loader in (loader, "")]
    return max(rows, key=lambda row: row.loader)


def pipeline_for(request: BaseRequest, loader: str) -> Pipeline[BaseRequest]:
    """Who carries out that request with a model of that loader."""
    return _made(row_for(request.task_name, loader).path)


def needs_torch(request: BaseRequest, loader: str) -> bool:
    """Whether torch has to be there before that request is begun."""
    family = FAMILIES.get(loader)
    return family.needs_torch if family else row_for(request.task_name, loader).needs_torch


@cache
def _made(path: str) -> Pipeline[BaseRequest]:
    module, name = path.split(":")
    made: Pipeline[BaseRequest] = getattr(import_module(module), name)()
    return made
