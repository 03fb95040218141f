"""Brakes on wrong passwords: a leaky bucket for each name and each address; nobody else feels them.

A try is counted before the password is looked at and taken back when it was right, so many at once gain nothing. Whoever is
logged in already, or shows a key, is never asked here: a stranger who tries a name cannot keep its owner out of what is open.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST = 10_000
"""Names and addresses remembered; the fullest stay."""


@dataclass
class _Bucket:
    level: float
    at: float


class Brake:
    """At most `allowance` wrong tries at once, then one every `seconds`. timer: seconds that only grow."""

    def __init__(self, allowance: int, seconds: float, timer: Callable[[], float] = time.monotonic) -> None:
        self.allowance, self.seconds, self.timer = allowance, seconds, timer
        self._buckets: dict[str, _Bucket] = {}

    def wait_seconds(self, who: str) -> float:
        """How long until one more try; 0 when it may be now."""
        return max(0.0, (self._level(who) + 1 - self.allowance) * self.seconds)

    def count(self, who: str) -> None:
        if len(self._buckets) >= MOST and who not in self._buckets:
            self._forget()
        self._buckets[who] = _Bucket(self._level(who) + 1, self.timer())

    def take_back(self, who: str) -> None:
        self._buckets[who] = _Bucket(max(0.0, self._level(who) - 1), self.timer())

    def _level(self, who: str) -> float:
        bucket = self._buckets.get(who)
        return max(0.0, bucket.level - (self.timer() - bucket.at) / self.seconds) if bucket else 0.0

    def _forget(self) -> None:
        """Leave the fuller half: emptying one that is full would let its tries begin anew."""
        fullest = sorted(self._buckets, key=self._level, reverse=True)[: MOST // 2]
        self._buckets = {who: self._buckets[who] for who in fullest if self._level(who) > 0}


class Brakes:
    """The brakes of one studio: ten wrong tries a name and then three a minute, thirty an address and then twelve a minute.

    An address that is this machine's own counts for nothing: behind a tunnel or a proxy everybody comes from there.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self.names, self.addresses = Brake(10, 20.0, timer), Brake(30, 5.0, timer)

    def wait_seconds(self, name: str, address: str) -> float:
        """How long this visitor has to wait before a password is looked at; when 0, the try is counted."""
        wait = max((brake.wait_seconds(who) for brake, who in self._of(name, address)), default=0.0)
        if not wait:
            for brake, who in self._of(name, address):
                brake.count(who)
        return wait

    def was_right(self, name: str, address: str) -> None:
        for brake, who in self._of(name, address):
            brake.take_back(who)

    def _of(self, name: str, address: str) -> list[tuple[Brake, str]]:
        place = _network(address)
        return [(self.names, name), *([(self.addresses, place)] if place else [])]


def _network(address: str) -> str:
    """What one visitor has: an IPv4 address or the /64 of an IPv6 one; "" for this machine and for no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return ""
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network(f"{ip}/64", strict=False))
