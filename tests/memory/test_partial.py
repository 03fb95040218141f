"""What the memory manager promises about components that are on the device only in part, and about what is brought in early."""

from __future__ import annotations

import threading

import pytest

from pipelines.errors import Cancelled
from pipelines.memory import MemoryManager, WontFit
from tests.memory.made_up import Clock, MadeUpDevice, Shelf
from tests.memory.test_manager import Borrower, manager_of, states, until


def bytes_of(manager: MemoryManager) -> dict[str, int]:
    return {c["key"]: c["nbytes"] for c in manager.snapshot()["components"]}


# ---- streamed ---------------------------------------------------------------------------------------------------------


def test_a_component_larger_than_the_device_is_streamed(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100, streams=True)
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("large", 180, least=30)], working_bytes=20) as lease:
        assert lease.streamed == ("large",)
        assert manager.snapshot()["committed_bytes"] == 100
        assert device.used == 80
    assert device.peak <= 100


def test_what_runs_most_often_is_kept_whole_first(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    encoder = shelf.component("encoder", 60, least=10)
    unet = shelf.component("unet", 80, least=20, passes=30)
    decoder = shelf.component("decoder", 20, least=5)
    with manager.lease([encoder, unet, decoder]) as lease:
        assert bytes_of(manager) == {"encoder": 10, "unet": 80, "decoder": 10}
        assert set(lease.streamed) == {"encoder", "decoder"}


def test_nothing_is_streamed_that_fits_when_others_leave(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    with manager.lease([shelf.component("a", 60, least=10)]):
        pass
    with manager.lease([shelf.component("b", 90, least=10)]) as lease:
        assert lease.streamed == ()
    assert states(manager)["a"] in ("host", "partial")


def test_pinned_models_that_leave_too_little_make_the_next_one_stream(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    with manager.lease([shelf.component("kept", 50)]):
        manager.pin("kept")
    with manager.lease([shelf.component("large", 90, least=20)]) as lease:
        assert lease.streamed == ("large",)
    assert states(manager)["kept"] == "resident"
    manager.pin("kept", False)
    with manager.lease([shelf.component("large", 90, least=20)]) as lease:
        assert lease.streamed == ()


def test_too_little_even_to_stream_is_refused_with_numbers(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    with (
        pytest.raises(WontFit, match="about 110 B"),
        manager.lease([shelf.component("x", 400, least=90)], 20),
    ):
        pass
    assert manager.snapshot()["committed_bytes"] == 0
    with manager.lease([shelf.component("x", 400, least=90)], 10) as lease:
        assert lease.streamed == ("x",)


def test_a_streamed_component_serves_one_job_at_a_time(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    large = shelf.component("large", 180, least=30)
    first = Borrower(manager.lease([large], 50))
    assert first.has_it.wait(60)
    second = Borrower(manager.lease([large]))
    until(lambda: manager.snapshot()["waiting"] == 1)
    assert not second.has_it.is_set()
    first.finish.set()
    assert second.has_it.wait(60)
    second.finish.set()
    second.join(60)
    assert (first.error, second.error) == (None, None)


def test_a_job_may_borrow_again_what_it_streams(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    large = shelf.component("large", 180, least=30)
    with manager.lease([large], 20), manager.lease([large], 10) as inner:
        assert inner.streamed == ("large",)


def test_asked_to_stream_it_keeps_as_little_as_it_can_work_with(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    part = shelf.component("part", 80, least=30)
    with manager.lease([part]) as lease:
        assert lease.streamed == ()
    with manager.lease([part], 70, stream=True) as lease:
        assert (lease.streamed, bytes_of(manager)) == (("part",), {"part": 30})
    with manager.lease([part]) as lease:
        assert lease.streamed == ()


def test_a_plan_says_what_would_be_streamed_and_how_long_loading_takes(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, streams=True), clock)
    plan = manager.plan([shelf.component("large", 180, least=30)], 20)
    assert (plan.fits, plan.how, plan.streamed, plan.need_bytes) == (True, "streamed", ("large",), 100)
    assert plan.load_seconds > 0
    with manager.lease([shelf.component("small", 60)]):
        pass
    assert manager.plan([shelf.component("small", 60)]).load_seconds == 0


def test_without_streaming_the_same_component_is_refused(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, unified=True), clock)
    with pytest.raises(WontFit), manager.lease([shelf.component("large", 180, least=30)]):
        pass
    assert shelf.loads == []


# ---- in part ----------------------------------------------------------------------------------------------------------


def test_the_last_to_leave_goes_no_further_than_it_must(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100, streams=True)
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("a", 80, least=10)]):
        pass
    with manager.lease([shelf.component("b", 40)]):
        assert states(manager) == {"a": "partial", "b": "resident"}
        assert bytes_of(manager)["a"] == 60
    device.uploads.clear()
    before = manager.snapshot()["counters"]["uploaded_bytes"]
    manager.unload("b")
    with manager.lease([shelf.component("a", 80, least=10)]) as lease:
        assert lease.streamed == ()
    assert manager.snapshot()["counters"]["uploaded_bytes"] - before == 20
    assert shelf.loads == ["a", "b"]


def test_an_interrupted_upload_keeps_what_had_arrived(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100, streams=True)
    manager = manager_of(device, clock)
    with (
        pytest.raises(Cancelled),
        manager.lease([shelf.component("a", 80, least=10)], is_cancelled=lambda: device.used >= 30),
    ):
        pass
    assert (states(manager), bytes_of(manager)) == ({"a": "partial"}, {"a": 30})
    with manager.lease([shelf.component("a", 80, least=10)]):
        assert bytes_of(manager) == {"a": 80}
    assert shelf.loads == ["a"]


# ---- shared -----------------------------------------------------------------------------------------------------------


def test_two_models_with_the_same_part_load_it_once(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    for model in ("org/one", "org/two"):
        own = shelf.component(f"unet@{model}", 30, model=model)
        with manager.lease([shelf.component("vae@abc", 20, model=model), own]):
            pass
    assert shelf.loads.count("vae@abc") == 1
    models = {c["key"]: c["models"] for c in manager.snapshot()["components"]}
    assert models["vae@abc"] == ["org/one", "org/two"]


def test_unloading_one_model_leaves_what_another_has_pinned(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    for model in ("org/one", "org/two"):
        with manager.lease([shelf.component("vae@abc", 20, model=model)]):
            pass
    manager.pin("org/two")
    assert manager.unload("org/one") == 0
    assert manager.unload("org/two") == 1


def test_a_pin_set_before_a_model_was_ever_borrowed_holds_for_a_part_it_shares(
    clock: Clock, shelf: Shelf
) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    manager.pin("org/two")
    with manager.lease([shelf.component("vae@abc", 20, model="org/one")]):
        pass
    assert not manager.snapshot()["components"][0]["pinned"]
    with manager.lease([shelf.component("vae@abc", 20, model="org/two")]):
        pass
    assert manager.snapshot()["components"][0]["pinned"]


# ---- brought in early -------------------------------------------------------------------------------------------------


def test_what_was_announced_is_there_when_its_job_comes(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    with manager.lease([shelf.component("now", 40)], 10):
        manager.hint([shelf.component("next", 30)])
        until(lambda: states(manager).get("next") == "resident")
    assert manager.snapshot()["counters"]["prefetches"] == 1
    with manager.lease([shelf.component("next", 30)]):
        pass
    counters = manager.snapshot()["counters"]
    assert (counters["prefetch_hits"], counters["loads"]) == (1, 2)
    manager.close()


def test_nobody_leaves_for_what_was_only_announced(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    with manager.lease([shelf.component("idle", 60)]):
        pass
    manager.hint([shelf.component("next", 50), shelf.component("later", 30)])
    manager.hint([shelf.component("small", 30)])
    until(lambda: states(manager).get("small") == "resident")
    assert states(manager) == {"idle": "resident", "small": "resident"}
    manager.close()


def test_demand_comes_before_what_was_only_announced(clock: Clock, shelf: Shelf) -> None:
    """An upload under way ends at its next chunk when somebody needs the room, and what had arrived stays."""
    device = MadeUpDevice(100, streams=True)
    manager = manager_of(device, clock)
    waiting, go_on = threading.Event(), threading.Event()
    slow = device.allocate

    def allocate(nbytes: int) -> None:
        slow(nbytes)
        if threading.current_thread().name == "prefetch" and device.used == 30:
            waiting.set()
            go_on.wait(60)

    device.allocate = allocate  # type: ignore[method-assign]
    manager.hint([shelf.component("announced", 80, least=10)])
    assert waiting.wait(60)
    job = Borrower(manager.lease([shelf.component("wanted", 90)]))
    until(lambda: manager.snapshot()["waiting"] == 1)
    go_on.set()
    assert job.has_it.wait(60)
    job.finish.set()
    job.join(60)
    assert job.error is None
    assert device.peak <= 100
    manager.close()


def test_a_job_that_wants_what_is_being_brought_in_early_waits_for_it_and_loads_nothing_again(
    clock: Clock, shelf: Shelf
) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    waiting, go_on = threading.Event(), threading.Event()
    slow = device.allocate

    def allocate(nbytes: int) -> None:
        slow(nbytes)
        waiting.set()
        go_on.wait(60)

    device.allocate = allocate  # type: ignore[method-assign]
    manager.hint([shelf.component("next", 40)])
    assert waiting.wait(60)
    job = Borrower(manager.lease([shelf.component("next", 40)]))
    until(lambda: manager.snapshot()["waiting"] == 1)
    go_on.set()
    assert job.has_it.wait(60)
    job.finish.set()
    job.join(60)
    assert (shelf.loads, job.error) == (["next"], None)
    manager.close()


def test_a_model_that_cannot_be_brought_in_early_is_left_to_its_job(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    shelf.fail.add("broken")
    manager.hint([shelf.component("broken", 30), shelf.component("fine", 20)])
    until(lambda: states(manager).get("fine") == "resident")
    assert shelf.loads == ["broken", "fine"]
    assert manager.snapshot()["committed_bytes"] == 20
    with pytest.raises(FileNotFoundError), manager.lease([shelf.component("broken", 30)]):
        pass
    manager.close()


def test_host_copies_are_page_locked_within_their_budget_when_nothing_else_is_to_be_done(
    clock: Clock, shelf: Shelf
) -> None:
    device = MadeUpDevice(100, pinned_budget=70)
    manager = manager_of(device, clock)
    for name, nbytes in (("old", 50), ("new", 40)):
        with manager.lease([shelf.component(name, nbytes)]):
            clock.now += 1
    manager.hint([shelf.component("new", 40)])
    until(lambda: manager.snapshot()["pinned_bytes"] == 40)
    manager.hint([])
    clock.now += 10_000
    manager.sweep()
    assert manager.snapshot()["pinned_bytes"] == 0
    manager.close()


def test_what_a_queued_job_will_want_does_not_rest(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock, keep_alive_seconds=60)
    for name in ("announced", "other"):
        with manager.lease([shelf.component(name, 40)]):
            pass
    manager.hint([shelf.component("announced", 40)])
    clock.now += 100
    assert manager.sweep() == 1
    assert states(manager) == {"announced": "resident", "other": "host"}
    manager.close()


def test_a_studio_that_keeps_nothing_brings_nothing_in_early(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock, keep_alive_seconds=0)
    manager.hint([shelf.component("next", 40)])
    assert manager.sweep() == 0
    assert shelf.loads == []


# ---- other programs ---------------------------------------------------------------------------------------------------


def test_idle_models_give_way_to_other_programs(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100, streams=True)
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("a", 30), shelf.component("b", 50)]):
        device.others = 40
        assert manager.sweep() == 0  # what is lent is never touched
    assert manager.sweep() == 1
    assert manager.snapshot()["committed_bytes"] <= 60
    assert "other programs took 20 B" in manager.snapshot()["last_decision"]
