"""One device, many models: lend them out, evict the idle ones when room is needed.

    with manager.lease([unet, vae], working_bytes=2 << 30) as lease:
        lease[unet](...)                      # on lease.device, untouchable until the block ends

A *component* is the smallest thing shared and moved (a UNet, a VAE, the weights of a language model); equal keys are the same
component, loaded once. A *lease* borrows several together, all or none, with the bytes the work itself will need. One ledger
counts both and never promises more than the device's budget.

Knows bytes and keys, nothing of diffusion or language. The device is passed in (`pipelines/runtime/device.py`, or a made-up one
in tests). `manager.py` lends, `ledger.py` counts, `policy.py` chooses who leaves, `mover.py` and `weights/` move, `prefetch.py`
moves ahead of time; docs/memory.md says why.
"""

from pipelines.memory.lease import Lease
from pipelines.memory.ledger import State
from pipelines.memory.manager import MemoryManager
from pipelines.memory.parts import Component, Device, Held, LeasePlan, WontFit

__all__ = ["Component", "Device", "Held", "Lease", "LeasePlan", "MemoryManager", "State", "WontFit"]
