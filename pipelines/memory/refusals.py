"""The errors of the memory manager, in three parts: what happened, the numbers, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipelines.errors import OutOfMemory, readable_bytes
from pipelines.memory.ledger import Entry, Ledger
from pipelines.memory.parts import Device, WontFit


def never_fits(device: Device, entries: Sequence[Entry], working_bytes: int, most: int) -> WontFit:
    """It exceeds the device itself, even with everything streamed that can be."""
    least = sum(entry.least_bytes if device.streams else entry.nbytes for entry in entries)
    need = least + working_bytes
    return WontFit(
        f"This needs about {readable_bytes(need)} and the device has {readable_bytes(most)}.",
        detail=f"{readable_bytes(need - working_bytes)} for the model and {readable_bytes(working_bytes)} to work in, "
        f"on {device.name}.",
        hint="Try a smaller size, fewer items at once, or a smaller model; or allow more with --vram-budget.",
    )


def blocked(device: Device, ledger: Ledger, need: int) -> OutOfMemory:
    """Nothing is lent, and still there is no room: pinned models or other programs hold it."""
    pinned = sum(entry.promised for entry in ledger.entries.values() if entry.pinned)
    if pinned:
        return OutOfMemory(
            f"This needs about {readable_bytes(need)} and pinned models hold {readable_bytes(pinned)}.",
            detail=f"The budget of {device.name} is {readable_bytes(ledger.capacity)} now.",
            hint="Unpin a model on the Models tab, or try a smaller size.",
        )
    return OutOfMemory(
        f"This needs about {readable_bytes(need)} and only {readable_bytes(ledger.capacity)} are free now.",
        detail=f"Other programs hold the rest of {device.name}.",
        hint="Close a program that uses the device and try again, or pick a smaller model.",
    )


def holds_already(
    device: Device, ledger: Ledger, held: Iterable[Entry], entries: Sequence[Entry], short: int
) -> OutOfMemory:
    """A job that holds a lease may not wait for more: two such jobs would wait for each other."""
    return OutOfMemory(
        f"This job already holds {keys_of(held)} and there is no room for {keys_of(entries)} beside it.",
        detail=f"{readable_bytes(short)} are missing of {readable_bytes(ledger.capacity)} on {device.name}.",
        hint="Try a smaller size; whoever wrote the pipeline can ask for both in one lease.",
    )


def ran_out(device: Device, ledger: Ledger, entry: Entry) -> OutOfMemory:
    """The device failed although the ledger had room, even with everything idle evicted."""
    return OutOfMemory(
        f"{device.name} ran out of memory while loading {entry.key}.",
        detail=f"It needs {readable_bytes(entry.nbytes)}; the budget said {readable_bytes(ledger.capacity)}.",
        hint="Close other programs that use the device, or set a smaller budget with --vram-budget.",
    )


def changes_size(entries: Iterable[Entry]) -> OutOfMemory:
    return OutOfMemory(
        "A model changes its size every time it is loaded.",
        detail=f"It is one of {keys_of(entries)}.",
        hint="Report this with the name of the model.",
    )


def keys_of(entries: Iterable[Entry]) -> str:
    """The components by the first model that borrowed them, for people: "starter/image (text_encoder, unet)"."""
    models: dict[str, dict[str, None]] = {}
    for entry in entries:
        _, *rest = entry.key.split(":")
        parts = models.setdefault(next(iter(entry.models), entry.key), {})
        parts.update(dict.fromkeys(rest[:1]))
    return ", ".join(f"{m} ({', '.join(parts)})" if parts else m for m, parts in models.items()) or "nothing"
