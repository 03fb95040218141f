"""The link to a worker: a process of its own on this machine, started, spoken to, listened to, and ended if need be.

What travels is in `pipelines/messages/`; what it does is in `pipelines/worker/worker.py`. Another kind of link (an actor on
another machine) is a `station.Link` too.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue

from pipelines.messages import Command, Event, Stop, WorkerConfig, read_message, write_message
from studio.settings import ROOT

log = logging.getLogger(__name__)
LOG_BYTES = 5 << 20
"""A log longer than this is put aside at the next start; one older log is kept."""


class LocalWorker:
    """One worker process.

    on_event: gets every event, in order, on a thread of this object. on_exit: gets the exit code, once, after the last event;
    negative means ended by that signal. The process does not outlive this one.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        log_file: Path,
        on_event: Callable[[Event], None],
        on_exit: Callable[[int], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log_file, self._environment = log_file, dict(environment or {})
        self._on_event, self._on_exit = on_event, on_exit
        self._commands: SimpleQueue[Command | WorkerConfig | None] = SimpleQueue()
        self._commands.put(config)
        self._process: subprocess.Popen[bytes] | None = None
        self.was_killed = False
        self._started, self._ended = threading.Event(), threading.Event()
        # This thread starts the process and lives as long as it does: Linux ends the child with the thread that made it.
        threading.Thread(target=self._live, name="worker-events", daemon=True).start()

    @property
    def pid(self) -> int:
        self._started.wait()
        return self._process.pid if self._process else -1

    def send(self, command: Command) -> None:
        """Hand over a command; never blocks, and says nothing when the process is gone (`on_exit` does)."""
        self._commands.put(command)

    def kill(self) -> None:
        """End the process and whatever it started, now."""
        self._started.wait()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.was_killed = True
        if os.name == "posix":
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
        else:
            process.kill()

    def close(self, timeout: float = 8.0) -> None:
        """Ask the process to end, and end it after `timeout` seconds; returns when `on_exit` has been called."""
        self.send(Stop())
        if not self._ended.wait(timeout):
            log.warning("the worker did not stop in %.0f s; killing it", timeout)
            self.kill()
            self._ended.wait()

    # ---- threads --------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        code = -1
        try:
            self._process = process = self._spawn()
            self._started.set()
            assert process.stdout is not None
            try:
                threading.Thread(
                    target=self._write, args=(process,), name="worker-commands", daemon=True
                ).start()
                while True:
                    self._on_event(read_message(process.stdout))
            except (EOFError, OSError):
                pass
            except Exception:
                log.exception("the worker cannot be spoken to, or sent something unreadable")
                self.kill()
            code = process.wait()
            process.stdout.close()
        except OSError:
            log.exception("the worker process could not be started")
        finally:
            self._started.set()
            self._commands.put(None)
            self._on_exit(code)
            self._ended.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        if self._log_file.exists() and self._log_file.stat().st_size > LOG_BYTES:
            self._log_file.replace(self._log_file.with_suffix(".old.log"))
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        # -P: a torch.py in the folder someone starts from is not torch
        command = [sys.executable, "-P", "-m", "pipelines", str(os.getpid())]
        with self._log_file.open("ab") as log_stream:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_stream,
                env={**os.environ, **self._environment, "PYTHONPATH": path},
                start_new_session=True,  # a group of its own: killed as a whole, and Ctrl-C is ours alone
            )

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        try:
            while (command := self._commands.get()) is not None:
                write_message(process.stdin, command)
            process.stdin.close()
        except OSError:
            pass  # the process is gone: `_live` sees it too
        except Exception:  # half a message may be on its way: nothing that follows would be understood
            log.exception("the worker can be told nothing more")
            self.kill()


def how_it_ended(code: int, by_us: bool = False) -> str:
    """An exit code in words. by_us: the studio killed the process, so that the signal says nothing of memory."""
    if by_us:
        return "The studio ended the worker process itself: it did not stop when it was asked to."
    if code >= 0:
        return f"The worker process ended with exit code {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    more = " The system does that when memory runs out." if name == "SIGKILL" else ""
    return f"The worker process was ended by {name} (exit code {code}).{more}"
