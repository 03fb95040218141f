"""What the memory manager promises, on a made-up device."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from pipelines.errors import GB, Cancelled, OutOfMemory, StudioError
from pipelines.memory import Lease, MemoryManager, WontFit
from tests.memory.made_up import Clock, MadeUpDevice, Shelf


def manager_of(device: MadeUpDevice, clock: Clock, **options: float) -> MemoryManager:
    return MemoryManager(device, clock=clock, poll_seconds=0.01, **options)


def states(manager: MemoryManager) -> dict[str, str]:
    return {c["key"]: c["state"] for c in manager.snapshot()["components"]}


def until(fact: Callable[[], bool]) -> None:
    """Wait for another thread to get somewhere; the test fails when it never does."""
    for _ in range(60_000):
        if fact():
            return
        time.sleep(0.001)
    raise AssertionError("it never happened")


class Borrower(threading.Thread):
    """A job on its own thread: takes a lease, holds it until told, keeps what went wrong."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(daemon=True)
        self.lease, self.error = lease, None
        self.has_it, self.finish = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with self.lease:
                self.has_it.set()
                self.finish.wait(60)
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        self.finish.set()
        self.join(60)
        assert not self.is_alive()


# ---- lending ----------------------------------------------------------------------------------------------------------


def test_a_component_is_loaded_once_and_stays(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    unet = shelf.component("unet", 60)
    for _ in range(3):
        with manager.lease([unet]) as lease:
            assert lease[unet].name == lease["unet"].name == "unet"
            assert lease.device == "made-up device"
    assert shelf.loads == ["unet"]


def test_nothing_can_be_reached_once_the_lease_is_over(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    with manager.lease([shelf.component("unet", 60)]) as lease:
        pass
    with pytest.raises(KeyError):
        lease["unet"]


def test_a_hit_asks_neither_device_nor_loader(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    unet = shelf.component("unet", 60)
    with manager.lease([unet]):
        pass
    before = device.questions
    for _ in range(100):
        with manager.lease([unet], working_bytes=40):
            pass
    assert device.questions == before


def test_two_threads_asking_for_the_same_component_load_it_once(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    vae = shelf.component("vae", 60)
    jobs = [Borrower(manager.lease([vae])) for _ in range(4)]
    for job in jobs:
        assert job.has_it.wait(60)
    assert shelf.loads == ["vae"]
    assert manager.snapshot()["components"][0]["leases"] == 4
    for job in jobs:
        job.end()


def test_a_lease_takes_all_or_none(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    good, bad = shelf.component("good", 30), shelf.component("bad", 30)
    shelf.fail.add("bad")
    with pytest.raises(FileNotFoundError), manager.lease([good, bad], working_bytes=10):
        pass
    snapshot = manager.snapshot()
    assert states(manager) == {"good": "resident"}
    assert snapshot["components"][0]["leases"] == 0
    assert snapshot["committed_bytes"] == 30


def test_after_a_loader_failed_the_next_one_may_succeed(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    unet = shelf.component("unet", 60)
    shelf.fail.add("unet")
    with pytest.raises(FileNotFoundError), manager.lease([unet]):
        pass
    shelf.fail.clear()
    with manager.lease([unet]) as lease:
        assert lease[unet].name == "unet"


def test_loading_is_told_one_by_one(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    told: list[tuple[str, int, int]] = []
    parts = [shelf.component("text_encoder", 20), shelf.component("unet", 40)]
    with manager.lease(parts, on_load=lambda *step: told.append(step)):
        pass
    assert told == [("text_encoder", 0, 2), ("unet", 1, 2), ("unet", 2, 2)]


# ---- making room ------------------------------------------------------------------------------------------------------


def test_nothing_leaves_while_everything_fits(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    parts = [shelf.component(name, 30) for name in ("a", "b", "c")]
    for i in range(300):
        with manager.lease([parts[i % 3]], working_bytes=10):
            clock.now += 1
    assert device.unloads == []
    assert shelf.loads == ["a", "b", "c"]


def test_the_single_component_that_frees_enough_leaves(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    for name, nbytes in (("small", 15), ("other", 15), ("right", 30), ("large", 40)):
        with manager.lease([shelf.component(name, nbytes)]):
            pass
    with manager.lease([shelf.component("new", 30)]):
        pass
    assert states(manager)["right"] == "host"
    assert [states(manager)[name] for name in ("small", "other", "large", "new")] == ["resident"] * 4


def test_what_takes_longest_to_bring_back_stays(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100, unified=True)
    manager = manager_of(device, clock)

    def slow() -> object:
        clock.now += 30.0
        return shelf.component("slow", 50).load()

    from pipelines.memory import Component

    for component in (Component("slow", slow, 50), shelf.component("quick", 50)):
        with manager.lease([component]):
            pass
    with manager.lease([shelf.component("new", 50)]):
        pass
    assert states(manager) == {"slow": "resident", "new": "resident"}


def test_what_was_announced_stays(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    for name in ("next", "later"):
        with manager.lease([shelf.component(name, 50)]):
            pass
    manager.hint([shelf.component("next", 50)])
    with manager.lease([shelf.component("new", 50)]):
        pass
    assert states(manager) == {"next": "resident", "later": "host", "new": "resident"}


def test_a_lent_model_is_never_evicted(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    job = Borrower(manager.lease([shelf.component("lent", 60)]))
    assert job.has_it.wait(60)
    waiting = Borrower(manager.lease([shelf.component("wanted", 60)]))
    until(lambda: manager.snapshot()["waiting"] == 1)
    assert manager.unload() == 0
    clock.now += 10_000
    assert manager.sweep() == 0
    assert states(manager) == {"lent": "resident"}
    job.end()
    assert waiting.has_it.wait(60)
    assert device.unloads == ["lent"]
    waiting.end()


def test_coming_back_from_host_memory_needs_no_loader(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    a, b = shelf.component("a", 60), shelf.component("b", 60)
    for component in (a, b, a, b):
        with manager.lease([component]):
            pass
    assert shelf.loads == ["a", "b"]


def test_in_unified_memory_leaving_means_gone(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100, unified=True), clock)
    a, b = shelf.component("a", 60), shelf.component("b", 60)
    for component in (a, b, a):
        with manager.lease([component]):
            pass
    assert shelf.loads == ["a", "b", "a"]
    assert states(manager) == {"a": "resident"}


def test_host_copies_leave_when_ram_is_short(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(50, host_budget=100), clock)
    for name in ("a", "b", "c"):
        with manager.lease([shelf.component(name, 50)]):
            clock.now += 10
    assert manager.snapshot()["host_bytes"] == 100
    assert "c" in states(manager)
    assert len(states(manager)) == 2


def test_a_pinned_model_stays(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    manager.pin("org/kept")
    with manager.lease([shelf.component("org/kept:unet", 50)]):
        pass
    with manager.lease([shelf.component("org/kept-not:unet", 50)]):
        pass
    with manager.lease([shelf.component("new", 50)]):
        pass
    assert states(manager) == {"org/kept:unet": "resident", "org/kept-not:unet": "host", "new": "resident"}
    clock.now += 10_000
    manager.sweep()
    assert states(manager) == {"org/kept:unet": "resident"}
    with (
        pytest.raises(OutOfMemory, match="pinned models hold 50 B"),
        manager.lease([shelf.component("x", 60)]),
    ):
        pass
    manager.pin("org/kept", False)
    with manager.lease([shelf.component("x", 60)]):
        pass


def test_keep_alive_lets_go_of_what_rested(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock, keep_alive_seconds=60)
    with manager.lease([shelf.component("a", 40)]):
        pass
    clock.now += 59
    assert manager.sweep() == 0
    clock.now += 2
    assert manager.sweep() == 1
    assert (device.used, states(manager)) == (0, {"a": "host"})
    clock.now += 240
    assert manager.sweep() == 1
    assert states(manager) == {}


# ---- sizes ------------------------------------------------------------------------------------------------------------


def test_the_measured_size_replaces_the_estimate(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    with manager.lease([shelf.component("unet", 70, said=20)]):
        assert manager.snapshot()["committed_bytes"] == 70
    with manager.lease([shelf.component("vae", 5, said=30)]):
        assert manager.snapshot()["committed_bytes"] == 75


@pytest.mark.parametrize("unified", [False, True])
def test_a_wrong_estimate_never_pushes_past_the_budget(clock: Clock, shelf: Shelf, unified: bool) -> None:
    """The device asserts it: an upload past its budget fails this test."""
    device = MadeUpDevice(100, unified=unified)
    manager = manager_of(device, clock)
    job = Borrower(manager.lease([shelf.component("lent", 60)]))
    assert job.has_it.wait(60)
    surprise = Borrower(manager.lease([shelf.component("surprise", 80, said=10)]))
    until(lambda: manager.snapshot()["waiting"] == 1)
    assert manager.snapshot()["committed_bytes"] == 60
    job.end()
    assert surprise.has_it.wait(60)
    assert device.peak <= 100
    surprise.end()


def test_a_surprise_larger_than_the_device_is_refused_with_its_real_size(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    lease = manager.lease([shelf.component("surprise", 150, said=10)])
    with pytest.raises(WontFit, match="about 150 B and the device has 100 B"), lease:
        pass
    assert manager.snapshot()["committed_bytes"] == 0


def test_when_the_device_fails_all_the_same_idle_models_leave_and_it_tries_again(
    clock: Clock, shelf: Shelf
) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("idle", 30)]):
        pass
    device.refuse_uploads = 1
    with manager.lease([shelf.component("unet", 50)]):
        assert states(manager) == {"idle": "host", "unet": "resident"}
    device.refuse_uploads = 2
    lease = manager.lease([shelf.component("vae", 10)])
    with pytest.raises(OutOfMemory, match="ran out of memory while loading vae"), lease:
        pass
    assert manager.snapshot()["committed_bytes"] == device.used


# ---- refusing ---------------------------------------------------------------------------------------------------------


def test_what_can_never_fit_is_refused_at_once_and_nobody_leaves(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(44 * GB)
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("idle", 20 * GB)]):
        pass
    with pytest.raises(WontFit) as refusal, manager.lease([shelf.component("video", 50 * GB)], 11 * GB):
        pass
    assert refusal.value.problem().message == "This needs about 61 GB and the device has 44 GB."
    assert "50 GB for the model and 11 GB to work in" in refusal.value.detail
    assert refusal.value.hint.startswith("Try")
    assert device.unloads == []
    assert shelf.loads == ["idle"]


def test_a_budget_of_zero_refuses_and_lends_what_weighs_nothing(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(0), clock)
    with pytest.raises(WontFit), manager.lease([shelf.component("unet", 1)]):
        pass
    with manager.lease([shelf.component("tokenizer", 0)]) as lease:
        assert lease["tokenizer"].name == "tokenizer"


def test_room_that_other_programs_hold_is_refused_with_a_word_about_them(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100, others=70)
    manager = manager_of(device, clock)
    with (
        pytest.raises(OutOfMemory, match="only 30 B are free now"),
        manager.lease([shelf.component("a", 50)]),
    ):
        pass
    device.others = 0
    with manager.lease([shelf.component("a", 50)]):
        pass


def test_a_thread_that_holds_a_lease_is_told_no_instead_of_waiting(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    with manager.lease([shelf.component("unet", 60)]):
        inner = manager.lease([shelf.component("vae", 60)])
        with pytest.raises(OutOfMemory, match="already holds unet and there is no room for vae"), inner:
            pass
        with manager.lease([shelf.component("small", 40)]):
            assert manager.snapshot()["committed_bytes"] == 100


def test_a_lease_inside_a_lease_of_the_same_thing_shares_its_working_set(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    unet = shelf.component("unet", 60)
    with manager.lease([unet], working_bytes=40):
        with manager.lease([unet], working_bytes=30):
            assert manager.snapshot()["committed_bytes"] == 100
        assert manager.snapshot()["working_bytes"] == 40
    assert manager.snapshot()["working_bytes"] == 0


# ---- waiting ----------------------------------------------------------------------------------------------------------


def test_waiters_are_served_in_order(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    first = Borrower(manager.lease([shelf.component("first", 90)]))
    assert first.has_it.wait(60)
    waiting = []
    for i in range(3):
        waiting.append(Borrower(manager.lease([shelf.component(f"waiter {i}", 90)])))
        until(lambda i=i: manager.snapshot()["waiting"] == i + 1)
    for served, job in enumerate((first, *waiting)):
        assert job.has_it.wait(60)
        assert [other.has_it.is_set() for other in waiting[served:]] == [False] * (3 - served)
        job.end()


def test_a_small_job_goes_ahead_of_a_waiting_large_one_a_bounded_number_of_times(
    clock: Clock, shelf: Shelf
) -> None:
    """A chat answers while a video waits; but the video's turn comes."""
    manager = manager_of(MadeUpDevice(100), clock)
    holder = Borrower(manager.lease([shelf.component("holder", 60)]))
    assert holder.has_it.wait(60)
    video = Borrower(manager.lease([shelf.component("video", 90)]))
    until(lambda: manager.snapshot()["waiting"] == 1)
    chat = shelf.component("chat", 20)
    for _ in range(3):
        job = Borrower(manager.lease([chat]))
        assert job.has_it.wait(60)
        job.end()
    fourth = Borrower(manager.lease([chat]))
    until(lambda: manager.snapshot()["waiting"] == 2)
    holder.end()
    assert video.has_it.wait(60)
    assert not fourth.has_it.is_set()
    video.end()
    assert fourth.has_it.wait(60)
    fourth.end()


def test_a_waiter_hears_that_its_job_was_cancelled(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    stop = threading.Event()
    holder = Borrower(manager.lease([shelf.component("holder", 60)]))
    assert holder.has_it.wait(60)
    waiter = Borrower(manager.lease([shelf.component("waiter", 60)], is_cancelled=stop.is_set))
    until(lambda: manager.snapshot()["waiting"] == 1)
    stop.set()
    manager.wake()
    waiter.join(60)
    assert isinstance(waiter.error, Cancelled)
    assert manager.snapshot()["waiting"] == 0
    holder.end()


def test_cancel_between_two_loads_gives_everything_back(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    parts = [shelf.component("a", 30), shelf.component("b", 30)]
    with pytest.raises(Cancelled), manager.lease(parts, 20, is_cancelled=lambda: shelf.loads == ["a"]):
        pass
    snapshot = manager.snapshot()
    assert (snapshot["committed_bytes"], snapshot["working_bytes"]) == (0, 0)
    assert states(manager) == {"a": "host"}


def test_a_thread_that_dies_holding_a_lease_does_not_hold_it_for_ever(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    thread = threading.Thread(target=lambda: manager.lease([shelf.component("a", 60)]).__enter__())
    thread.start()
    thread.join()
    del thread
    with manager.lease([shelf.component("b", 60)]):
        assert states(manager) == {"a": "host", "b": "resident"}


def test_closing_tells_everyone_who_waits(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    holder = Borrower(manager.lease([shelf.component("holder", 60)]))
    assert holder.has_it.wait(60)
    waiter = Borrower(manager.lease([shelf.component("waiter", 60)]))
    until(lambda: manager.snapshot()["waiting"] == 1)
    manager.close()
    waiter.join(60)
    assert isinstance(waiter.error, StudioError)
    holder.end()
    manager.close()
    assert device.used == 0


# ---- faults and telling -----------------------------------------------------------------------------------------------


def test_a_component_that_cannot_be_unloaded_is_dropped_and_its_bytes_are_free(
    clock: Clock, shelf: Shelf
) -> None:
    device = MadeUpDevice(100, break_unload={"a"})
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("a", 60)]):
        pass
    with manager.lease([shelf.component("b", 60)]):
        assert states(manager) == {"b": "resident"}


def test_a_plan_says_what_would_leave_and_changes_nothing(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    with manager.lease([shelf.component("a", 60)]):
        pass
    before = manager.snapshot()
    plan = manager.plan([shelf.component("b", 50)], 10)
    assert (plan.fits, plan.need_bytes, plan.free_bytes, plan.evicts) == (True, 60, 40, ("a",))
    assert manager.plan([shelf.component("a", 60)], 40).evicts == ()
    never = manager.plan([shelf.component("c", 200)])
    assert not never.fits
    assert "This needs about 200 B and the device has 100 B." in never.reason
    assert manager.snapshot() == before


def test_the_snapshot_is_plain_json_and_adds_up(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    with manager.lease([shelf.component("a", 60)], working_bytes=10):
        clock.now += 5
        snapshot = json.loads(json.dumps(manager.snapshot()))
    totals = {
        name: snapshot[name] for name in ("budget_bytes", "committed_bytes", "working_bytes", "host_bytes")
    }
    assert totals == {"budget_bytes": 100, "committed_bytes": 70, "working_bytes": 10, "host_bytes": 60}
    assert (snapshot["device"], snapshot["waiting"], snapshot["last_decision"]) == ("made-up:0", 0, "")
    assert snapshot["components"] == [
        {
            "key": "a",
            "models": ["a"],
            "state": "resident",
            "nbytes": 60,
            "whole_bytes": 60,
            "streamed": False,
            "leases": 1,
            "pinned": False,
            "prefetched": False,
            "restore_seconds": 0.001,
            "idle_seconds": 0.0,
            "last_used": 1000.0,
        }
    ]
    counted = {name: number for name, number in snapshot["counters"].items() if number}
    assert counted == {"leases": 1, "loads": 1, "uploads": 1, "uploaded_bytes": 60}


def test_the_last_decision_says_who_left_and_why(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    for name in ("a", "b"):
        with manager.lease([shelf.component(name, 60)]):
            pass
    assert manager.snapshot()["last_decision"] == "a left, quickest to bring back: b was 20 B short"


def test_unload_keeps_what_has_another_name(clock: Clock, shelf: Shelf) -> None:
    manager = manager_of(MadeUpDevice(100), clock)
    for name in ("org/m:unet", "org/m:vae", "org/m-large:unet"):
        with manager.lease([shelf.component(name, 10)]):
            pass
    assert manager.unload("org/m") == 2
    assert states(manager) == {"org/m-large:unet": "resident"}


def test_what_work_left_with_the_allocator_is_handed_back_once_it_is_over(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("a", 30)]):
        manager.sweep()
    assert device.settled == 0
    manager.sweep()
    manager.sweep()
    assert device.settled == 1


def test_a_job_that_waits_is_told_once(clock: Clock, shelf: Shelf) -> None:
    device = MadeUpDevice(100)
    manager = manager_of(device, clock)
    with manager.lease([shelf.component("a", 60)]):
        looks = device.questions
        job = Borrower(manager.lease([shelf.component("b", 60)]))
        until(lambda: device.questions >= looks + 5)
    assert job.has_it.wait(60)
    job.finish.set()
    job.join(60)
    assert [event["what"] for event in manager.events()].count("wait") == 1
    assert manager.snapshot()["counters"]["waits"] == 1
