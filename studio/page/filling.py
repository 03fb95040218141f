"""What a tab's form is told: a recipe or a part of one, what was typed before, another model; and what its request would take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import gradio as gr

from pipelines.errors import StudioError
from studio.page import pieces
from studio.page.forms import Form, Late
from studio.page.frame import asset, owner_of, prompts, title_of

if TYPE_CHECKING:
    from studio.studio import Studio

SETTLE_SECONDS = 0.3  # a knob rests that long before anybody is asked what its value means
PLAN_SECONDS = 5.0  # how long a forecast may take; later nobody wants it


class Filling:
    """The handlers that change a form, each with what is told of the model that stands there then."""

    def __init__(self, studio: Studio, form: Form) -> None:
        self.studio, self.form = studio, form

    def fill(self, chosen: str | None, event: gr.EventData, request: gr.Request) -> list[object]:
        """Put a recipe, or a part of one, into the form. chosen: the model that is there now."""
        recipe = dict(event._data.get("fill") or {})
        if event._data.get("whole"):
            return self._lay_out(recipe, chosen or "", request)
        wanted = recipe.get("model")
        if wanted and wanted not in {model for _, model in self.form.models()}:
            gr.Warning(f"{wanted} is not on this machine; the model chosen here stays.", duration=6)
            wanted = None
        suited = self.form.suited(recipe, chosen or "")
        if suited.get("model") != recipe.get("model"):
            wanted = str(suited["model"])
            told = f"{title_of(self.studio, chosen or '')} cannot start from a picture; {title_of(self.studio, wanted)} can."
            gr.Info(told, duration=6)
        # the seed alone is what the line about a laid out recipe offers: it stays
        return [*self.form.fill(suited), *self._about(wanted), gr.skip() if recipe.keys() == {"seed"} else ""]

    def _lay_out(self, recipe: dict[str, object], chosen: str, request: gr.Request) -> list[object]:
        """A whole recipe in the place of what the form held; what was not taken over is told below the button."""
        gone = [
            name for name in self.form.media if recipe.get(name) and not self._is_own(recipe[name], request)
        ]
        kept = {name: value for name, value in recipe.items() if name not in gone}
        updates, model, left_out = self.form.lay_out(kept, chosen)
        left_out += tuple(f"{name.replace('_', ' ')}: that file is not in your library" for name in gone)
        return [*updates, *self._about(model), pieces.restored(left_out, recipe.get("seed", -1) != -1)]

    def _is_own(self, asset_id: object, request: gr.Request) -> bool:
        found = asset(self.studio, str(asset_id))
        return found is not None and found.owner == owner_of(request)

    def restore(self, event: gr.EventData) -> list[object]:
        """What was typed before the page was closed: [*controls, *about, late]."""
        late = self.form.restore(event._data.get("draft"))
        return self._answer_late(late, str(late.values.get("model") or "") or None)

    def _answer_late(self, late: Late, model: str | None) -> list[object]:
        """What the controls offer at once, their values by way of the page: it knows what was touched in the meantime."""
        return [*late.offers, *self._about(model), {"values": late.values, "held": late.held}]

    async def foresee(self, *values: object) -> str:
        """What the form's request would take, as a line below the button; nothing while that cannot be told."""
        await asyncio.sleep(SETTLE_SECONDS)
        request = self.form.sketch(values)
        if request is None or self.studio.worker_state() != "ready":
            return ""
        try:
            return pieces.forecast(await asyncio.to_thread(self.studio.forecast, request, PLAN_SECONDS))
        except StudioError:
            return ""

    def offer_models(self, chosen: str | None) -> object:
        """The models that can run by now: one may have been downloaded since the page was drawn."""
        if chosen:  # another may have been picked since: what is offered changes, never what is chosen
            return gr.update(choices=self.form.models())
        return gr.update(choices=self.form.models(), value=self.form.default_model() or None)

    def switch_model(self, previous: str, *values: object) -> list[object]:
        chosen = str(values[self.form.names.index("model")] or "")
        if chosen == previous:  # told twice of one choice, with the values of before
            # the values too: what was answered first may not have been put in yet
            return [*[gr.skip()] * len(values), *self._about(None), gr.skip()]
        return self._answer_late(self.form.switch_model(previous, chosen, values), chosen)

    def _about(self, model_id: str | None) -> list[object]:
        spec = self.form.spec(model_id) if model_id else None
        if spec is None:
            return [gr.skip()] * 3
        return [spec.id, pieces.model_note(spec), prompts(spec)]
