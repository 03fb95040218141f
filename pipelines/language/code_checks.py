"""What is certain of Python code and needs no model: Python's own findings and those of ruff, which only reads it.

And the other way round: what a model claimed that these would have seen and did not.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys

from pipelines.language.code_text import Finding, python_findings, syntax_error

RULES = "F,PLE,B002,B005,B015,B018,B020,B023,B025,B031"
"""pyflakes, pylint's errors and those of bugbear's rules that are always a slip."""
SAID_BY_PYTHON = "F601,F632,F702,F704,F706"
CHECK_SECONDS = 10.0
MOST = 50  # findings told; a file with more has one cause

log = logging.getLogger(__name__)

_SYNTAX = re.compile(
    r"(?i)syntax ?error|invalid syntax|does not (?:compile|parse)|missing (?:colon|parenthes)"
)
_UNDEFINED = re.compile(
    r"(?i)`(?P<name>\w+)`[^.\n]{0,40}?\b(?:is|are|was) (?:not defined|undefined|never defined)"
)


def certain_findings(code: str) -> list[Finding]:
    """Everything the checkers found, by line. Code that does not parse has its syntax error alone."""
    found = python_findings(code)
    if syntax_error(code) is None:
        found = sorted({*found, *ruff_findings(code)}, key=lambda finding: (finding.line, finding.message))
    return found[:MOST]


def ruff_findings(code: str) -> list[Finding]:
    """What ruff says of the code; nothing when ruff is not there or takes too long, which is logged."""
    command = [sys.executable, "-P", "-m", "ruff", "check", "--isolated", "--no-cache", "--exit-zero"]
    command += ["--select", RULES, "--ignore", SAID_BY_PYTHON, "--output-format", "json"]
    try:
        checked = subprocess.run(
            [*command, "--stdin-filename", "code.py", "-"],
            input=code.encode("utf-8", "replace"),
            capture_output=True,
            timeout=CHECK_SECONDS,
            check=True,
        )
        told = json.loads(checked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("ruff could not look at the code: %s", error)
        return []
    return [Finding(one["location"]["row"], f"{one['message'].rstrip('.')} ({one['code']}).") for one in told]


def unconfirmed(answer: str, code: str) -> list[str]:
    """Claims of a model's answer that the checkers would have seen and did not, each as a sentence."""
    doubts = []
    if _SYNTAX.search(answer) and syntax_error(code) is None:
        doubts.append("Python reads this code without a syntax error.")
    found = " ".join(finding.message for finding in certain_findings(code) if "(F821)" in finding.message)
    named = dict.fromkeys(match["name"] for match in _UNDEFINED.finditer(answer))
    doubts += [f"`{name}` is not an undefined name here." for name in named if f"`{name}`" not in found]
    return doubts
