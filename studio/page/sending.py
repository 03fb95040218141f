"""What a tab sends: the form's request, an older job once more, a cancel; and which jobs this browser knows of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import gradio as gr

from pipelines.errors import StudioError
from pipelines.messages import BaseRequest
from studio.page import refusals
from studio.page.faults import FieldErrors
from studio.page.forms import Form
from studio.page.frame import owner_of, said

if TYPE_CHECKING:
    from studio.queue.jobs import Job
    from studio.studio import Studio

KEPT = 12  # job ids a browser remembers for one tab


class Sending:
    """The handlers behind a tab's buttons. prepare, clears: as `Desk` has them."""

    def __init__(
        self,
        studio: Studio,
        form: Form,
        prepare: Callable[..., BaseRequest] | None = None,
        clears: Sequence[str] = (),
    ) -> None:
        self.studio, self.form, self.prepare, self.clears = studio, form, prepare, tuple(clears)

    def submit(self, request: gr.Request, jobs: list[str], *values: object) -> list[object]:
        """Send what the form asks for: [job ids, answer, *cleared fields]."""
        try:
            asked = self.form.request(values)
            if self.prepare:
                asked = self.prepare(asked, self.last(jobs, request))
            sent = self._send(jobs, asked, request)
        except (FieldErrors, StudioError) as error:
            return [gr.skip(), refusals.refused(self.form, error), *[gr.skip()] * len(self.clears)]
        return [sent, refusals.accepted(), *[""] * len(self.clears)]

    def again(self, jobs: list[str], event: gr.EventData, request: gr.Request) -> list[object]:
        """The same recipe with a new seed."""
        return self._repeat(jobs, event, request, {"seed": -1})

    def retry(self, jobs: list[str], event: gr.EventData, request: gr.Request) -> list[object]:
        """The same recipe, seed and all."""
        return self._repeat(jobs, event, request, {})

    def adopt(self, jobs: list[str] | None, event: gr.EventData, request: gr.Request) -> object:
        """Show a job here that may have been sent from another device."""
        job = self.shown(said(event, "job"), request)
        if job is None:
            return gr.skip()
        return [*(one for one in jobs or [] if one != job.id), job.id][-KEPT:]

    def cancel(self, event: gr.EventData, request: gr.Request) -> None:
        job = self.own(said(event, "job"), request)
        if job:
            self.studio.cancel(job.id)

    def _repeat(
        self, jobs: list[str], event: gr.EventData, request: gr.Request, change: dict[str, object]
    ) -> list[object]:
        job = self.own(said(event, "job"), request)
        if job is None:
            return [gr.skip(), gr.skip()]
        try:
            sent = self._send(jobs, job.request.model_copy(update=change), request)
        except StudioError as error:
            return [gr.skip(), refusals.refused(self.form, error)]
        return [sent, refusals.accepted()]

    def _send(self, jobs: list[str] | None, asked: BaseRequest, request: gr.Request) -> list[str]:
        """The job ids of this browser after submitting; raises StudioError."""
        job = self.studio.submit(asked, owner=owner_of(request))
        # a browser's own list comes with its first answer: someone quick sends before it is there
        return [*(jobs or []), job.id][-KEPT:]

    @staticmethod
    def forget() -> list[str]:
        """No jobs: the next one starts afresh. The library keeps what was made."""
        return []

    def last(self, jobs: list[str], request: gr.Request) -> Job | None:
        """The newest job of this browser on this tab, or None."""
        return self.own(jobs[-1], request) if jobs else None

    def shown(self, job_id: str, request: gr.Request) -> Job | None:
        """The job, if it is this person's and of the task this tab is for: it cannot draw another of the same modality."""
        job = self.own(job_id, request)
        return job if job and isinstance(job.request, self.form.request_type) else None

    def own(self, job_id: str, request: gr.Request) -> Job | None:
        """The job, if it is there and this person's."""
        try:
            job = self.studio.job(job_id)
        except StudioError:
            return None
        return job if job.owner == owner_of(request) else None
