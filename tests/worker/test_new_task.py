"""Adding a task touches three places, numbered below. This one does nothing, and goes all the way from form to library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

import gradio as gr
import pytest

from pipelines.catalog import Catalog, ModelSpec
from pipelines.messages import (
    REQUESTS,
    Artifact,
    BaseRequest,
    Command,
    Event,
    TextRequest,
    WorkerConfig,
    parse_request,
)
from pipelines.runtime.context import Context
from pipelines.runtime.pipeline import Pipeline
from pipelines.worker import registry
from pipelines.worker.worker import Worker
from studio.api.openapi import request_schemas
from studio.cli.generate import build_request
from studio.page.controls import describe
from studio.page.forms import Form
from studio.page.frame import form_for
from studio.page.library import doings
from studio.page.sending import Sending
from studio.page.watching import Watching
from studio.queue.jobs import Job
from studio.settings import Settings
from studio.studio import Studio

# ---- 1. a request class ------------------------------------------------------------------------------------------------


class NothingRequest(BaseRequest):
    """Hands the words back as they are."""

    modality: Literal["text"] = "text"
    task: Literal["nothing"] = "nothing"
    needs_model: ClassVar[bool] = False


# ---- 2. a pipeline -----------------------------------------------------------------------------------------------------


class NothingPipeline(Pipeline[NothingRequest]):
    def plan(self, request: NothingRequest, spec: ModelSpec, dtype: object = None) -> tuple[list, int]:
        return [], 0

    def generate(self, request: NothingRequest, ctx: Context) -> Iterator[Artifact]:
        ctx.progress("save")
        yield Artifact("text", "text/plain", "txt", request.prompt.encode(), recipe=request)


# ---- 3. a row ----------------------------------------------------------------------------------------------------------

ROW = registry.Row("nothing", f"{__name__}:NothingPipeline", needs_torch=False)


# ---- and nothing else --------------------------------------------------------------------------------------------------

del REQUESTS["nothing"]  # writing the class listed it; the other tests shall not see it


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REQUESTS, "nothing", NothingRequest)
    monkeypatch.setattr(registry, "ROWS", (*registry.ROWS, ROW))


class Here:
    """A link to a worker in this process."""

    def __init__(
        self,
        config: WorkerConfig,
        *,
        on_event: Callable[[Event], None],
        on_exit: Callable[[int], None],
        **more: object,
    ) -> None:
        self._worker, self._on_exit = Worker(config, on_event), on_exit

    def send(self, command: Command) -> None:
        self._worker.handle(command)

    def kill(self) -> None:
        self.close()

    def close(self) -> None:
        self._worker.stop()
        self._on_exit(0)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(Settings(data_dir=tmp_path, offline=True), start_worker=Here, warm_up=False)
    studio.start()
    yield studio
    studio.close()


def over(studio: Studio, job: Job) -> Job:
    async def look() -> Job:
        async for update in studio.watch(job.id):
            last = update.job
        return last

    return asyncio.run(asyncio.wait_for(look(), 60))


def test_a_task_of_three_places_goes_from_request_to_library(studio: Studio) -> None:
    done = over(
        studio, studio.submit(parse_request({"modality": "text", "task": "nothing", "prompt": "As it is."}))
    )
    assert done.status == "completed", done.problem
    asset = studio.library.get(done.asset_ids[0])
    assert studio.library.read(asset) == b"As it is."
    assert parse_request(asset.recipe) == done.request
    assert isinstance(studio.store.get(done.id).request, NothingRequest)


def test_a_tab_shows_no_job_of_another_task(studio: Studio) -> None:
    """What was sent by the API ended the Text tab with a TypeError once it was clicked on in the queue."""
    job = studio.submit(NothingRequest(prompt="As it is."))
    sending = Sending(studio, Form(studio.catalog, "text"))
    assert sending.adopt([], gr.EventData(None, {"job": job.id}), None) == gr.skip()
    assert Watching(studio, None, sending, {})._known([job.id], None) == []
    its_own = Sending(studio, Form(studio.catalog, "nothing"))
    assert its_own.adopt([], gr.EventData(None, {"job": job.id}), None) == [job.id]


def test_a_recipe_is_laid_out_only_where_its_task_has_a_form(studio: Studio) -> None:
    recipe = NothingRequest(prompt="As it is.").model_dump(mode="json")
    assert form_for(recipe) == ""
    assert form_for(recipe | {"task": "unboil"}) == form_for({"modality": "smell"}) == form_for({}) == ""
    assert form_for({"modality": "text"}) == form_for({"modality": "text", "task": ""}) == "text"
    assert form_for({"modality": "code", "task": "explain"}) == "code"

    given = {"kind": "text", "media_type": "text/plain", "suffix": "txt"}
    assert "Remix" not in doings(studio.library.add(b"As it is.", recipe=recipe, **given))
    assert "Remix" in doings(studio.library.add(b"As it is.", recipe={"modality": "text"}, **given))


def test_form_command_line_and_api_know_it(studio: Studio) -> None:
    assert [control.name for control in describe(NothingRequest)] == ["prompt", "model", "seed"]
    assert Form(studio.catalog, "nothing").models() == []
    asked = build_request("nothing", "As it is.", "", 7, [], studio.library)
    assert asked == NothingRequest(prompt="As it is.", seed=7)
    assert "NothingRequest" in request_schemas()


def test_what_names_no_task_is_the_modalitys_own() -> None:
    """Recipes, drafts and rows written before there was a second one."""
    assert isinstance(parse_request({"modality": "text", "prompt": "x"}), TextRequest)


def test_a_second_task_of_a_modality_says_its_name() -> None:
    with pytest.raises(TypeError, match="give it a field `task`"):
        type("Unnamed", (TextRequest,), {})


def test_every_task_has_a_row_and_every_loader_a_family() -> None:
    loaders = {spec.loader for spec in Catalog(hub=True).all()}
    assert loaders <= set(registry.FAMILIES)
    assert {registry.row_for(task, "").task for task in REQUESTS} == set(REQUESTS)


def test_the_row_of_a_loader_says_of_torch_what_its_family_says() -> None:
    own = [row for row in registry.ROWS if row.loader]
    assert [row.needs_torch for row in own] == [registry.FAMILIES[row.loader].needs_torch for row in own]
