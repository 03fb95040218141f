"""Everything a stranger could bring, sent to a real server: does it hang, fail, grow, or tell what is not theirs?

`python3 launch.py bench hostile [--cases N] [--only WORDS] [--list] [--write]`. The corpus is made by this script from a fixed
seed. Two users, one of whom owns marked things; the other sends every case and looks at whatever the studio then shows. After
each case the owner asks an ordinary question. Fails when a bar is missed: 0 hangs (an answer within 5 s), 0 answers 500, the
server never more than 300 MiB above idle, 0 bytes of the other user's things, always alive.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.hostile import pictures
from tests.bench.hostile.asks import HALF
from tests.bench.hostile.corpus import Case, corpus, sample
from tests.bench.hostile.house import ROOT, Answer, House, Things, leaked, opened
from tests.bench.report import Report, parser, write_between

MORE_MIB = 300
HALF_SECONDS = 60.0  # within which a server ends what was begun and never finished
DOCUMENT = ROOT / "docs" / "hostile.md"


@dataclass
class Verdict:
    """What one case did. faults: in words, each with the bar it breaks."""

    case: Case
    seconds: list[float] = field(default_factory=list)
    more_mib: float = 0.0
    faults: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Half:
    """A request that is begun and never finished."""

    name: str
    begun: float
    line: socket.socket


def main(argv: list[str]) -> int:
    arguments = parser(__doc__ or "", runs=0)
    arguments.add_argument("--cases", type=int, default=0, metavar="N", help="only N, some of each group")
    arguments.add_argument(
        "--seed", type=int, default=1, help="of the files broken by chance, and of --cases"
    )
    arguments.add_argument(
        "--only", default="", metavar="WORDS", help="only cases whose group or name has these words"
    )
    arguments.add_argument("--patience", type=float, default=5.0, metavar="SECONDS", help="for one answer")
    arguments.add_argument("--list", action="store_true", help="only name the cases")
    arguments.add_argument("--write", action="store_true", help=f"write the figures to {DOCUMENT.name}")
    told = arguments.parse_args(argv)
    if told.list:
        for case in corpus(told.seed, Path("/victim.mp4")):
            print(f"{case.group}: {case.name}")
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="hostile-") as folder,
        opened(Path(folder), told.patience) as house,
    ):
        things = house.furnish()
        cases = sample(corpus(told.seed, things.film), told.cases, told.seed)
        cases = [case for case in cases if told.only in f"{case.group}: {case.name}"]
        ordinary = warm_up(house)
        idle = house.resident()
        halves = begin_halves(house)
        verdicts = []
        for number, case in enumerate(cases, 1):
            print(f"\r{number} of {len(cases)}", end="", file=sys.stderr, flush=True)
            verdicts.append(judge(case, house, things, idle))
        print(file=sys.stderr)
        verdicts.append(end_halves(house, halves))
        children = house.children_peak()
    report = told_of(verdicts, ordinary, idle, children, told.patience)
    for verdict in verdicts:
        for which, words in verdict.faults:
            print(f"! {which}: {verdict.case.group}: {verdict.case.name}: {words}")
    if told.write:
        write_between(DOCUMENT, "figures: written by `launch.py bench hostile --write`", report.text())
    return report.end()


def warm_up(house: House) -> list[float]:
    """Ordinary uploads, pages and lists, so that idle is what a server in use weighs; seconds of each."""
    for _ in range(8):
        answer = house.upload("ordinary.png", pictures.png(width=200, height=200))
        house.ask("GET", f"/api/assets/{answer.json().get('id', '')}/thumbnail")
        house.ask("GET", "/")
        house.ask("GET", "/config")
        house.ask("GET", "/api/assets")
        house.ask("GET", "/api/jobs")
    seconds = [answer.seconds for _, answer in house.answers]
    house.answers.clear()
    return seconds


def judge(case: Case, house: House, things: Things, idle: int) -> Verdict:
    """Run one case and look at all its answers, at the server's memory, and whether it still answers others."""
    verdict = Verdict(case)
    house.answers.clear()
    house.forget_peak()
    if house.process.poll() is not None:
        verdict.faults.append(("alive", f"the server has ended with {house.process.returncode}"))
        return verdict
    try:
        case.run(house, things)
    except Exception as error:  # the case itself is wrong: told, and the rest goes on
        verdict.faults.append(("alive", f"the case could not be sent: {type(error).__name__}: {error}"))
    for note, answer in house.answers:
        verdict.seconds.append(answer.seconds)
        verdict.faults += [(which, f"{note}: {words}") for which, words in faults(answer, house.patience)]
    verdict.more_mib = (house.peak() - idle) / 2**20
    if verdict.more_mib > MORE_MIB:
        verdict.faults.append(("memory", f"{verdict.more_mib:.0f} MiB above idle"))
    if not house.is_alive() and not (time.sleep(house.patience) or house.is_alive()):
        verdict.faults.append(("alive", "an ordinary request of another user was not answered in time"))
    return verdict


def faults(answer: Answer, patience: float) -> list[tuple[str, str]]:
    found = []
    if answer.seconds > patience or answer.is_open:
        found.append(("hangs", f"{answer.seconds:.1f} s, {answer.status or answer.trouble or 'no answer'}"))
    if answer.status in (500, 502):
        found.append(
            ("errors 500", f"{answer.trouble} {answer.body[:160].decode('utf-8', 'replace')}".strip())
        )
    if words := leaked(answer):
        found.append(("leaks", words))
    return found


def begin_halves(house: House) -> list[Half]:
    """Requests that are begun and never finished, five of each, open while everything else goes on."""
    lines = []
    for name, data in HALF.items():
        for _ in range(5):
            line = socket.create_connection(("127.0.0.1", house.port), house.patience)
            line.sendall(data.replace(b"$LOGIN", house.login_line()))
            lines.append(Half(name, time.monotonic(), line))
    return lines


def end_halves(house: House, lines: list[Half]) -> Verdict:
    """Whether the server has ended each of them by now, or does within its time."""
    verdict, still = (
        Verdict(Case("request: half-sent", "half-sent requests", lambda house, things: None)),
        Counter[str](),
    )
    for half in lines:
        half.line.settimeout(max(0.1, half.begun + HALF_SECONDS - time.monotonic()))
        try:
            while half.line.recv(1 << 16):
                pass
        except TimeoutError:
            still[half.name] += 1
        except OSError:
            pass  # reset is an end too
        half.line.close()
    verdict.faults = [
        ("hangs", f"{name}: {n} still open after {HALF_SECONDS:.0f} s") for name, n in still.items()
    ]
    return verdict


def told_of(
    verdicts: list[Verdict], ordinary: list[float], idle: int, children: int, patience: float
) -> Report:
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.case.group].append(verdict)
    asked = [second for verdict in verdicts for second in verdict.seconds]
    report = Report(
        f"{len(verdicts)} cases, {len(asked)} answers; the server weighs {idle / 2**20:.0f} MiB at idle"
    )
    report.figure("an ordinary request (baseline)", ordinary)
    for name, group in groups.items():
        seconds = [second for verdict in group for second in verdict.seconds] or [0.0]
        report.figure(f"{name}, {len(group)} cases", seconds, ordinary)
    report.figure("all answers", asked or [0.0], ordinary)
    bars(report, verdicts, max(asked, default=0.0), patience)
    report.say(
        f"The largest process beside the server had {children / 2**20:.0f} MiB (the worker, with its models)."
    )
    return report


def bars(report: Report, verdicts: list[Verdict], slowest: float, patience: float) -> None:
    counts = Counter(which for verdict in verdicts for which, _ in verdict.faults)
    most = max(verdict.more_mib for verdict in verdicts)
    hangs = f"{counts['hangs']}, slowest answer {slowest:.2f} s"
    report.bar(f"hangs (no answer within {patience:g} s)", "0", hangs, not counts["hangs"])
    report.bar("answers 500", "0", str(counts["errors 500"]), not counts["errors 500"])
    report.bar("server's memory above idle", f"{MORE_MIB} MiB", f"{most:.0f} MiB", most <= MORE_MIB)
    report.bar("answers with another user's data", "0", str(counts["leaks"]), not counts["leaks"])
    alive = "cases after which it did not answer others"
    report.bar(alive, "0", str(counts["alive"]), not counts["alive"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
