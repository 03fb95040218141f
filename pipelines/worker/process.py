"""The worker as a process: commands on standard input, events on standard output, nothing else on either."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from pipelines.messages import Event, Stop, read_message, write_message
from pipelines.worker.worker import Worker


def main() -> None:
    """Read commands on standard input, write events on standard output, until told to stop or the server is gone.

    A dead server shows as the end of the input, or as an error on either pipe; this process must not outlive it, or an orphan
    keeps the device. Whatever libraries print goes to standard error, which is the log.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the server decides
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sending = threading.Lock()

    def send(event: Event) -> None:
        try:
            with sending:
                write_message(events, event)
        except OSError:
            os._exit(1)

    try:
        worker = Worker(read_message(commands), send)
        while not isinstance(command := read_message(commands), Stop):
            worker.handle(command)
    except (EOFError, OSError):  # the latter includes ConnectionResetError
        os._exit(1)
    worker.stop()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)  # threads deep in a library do not hold the end up
