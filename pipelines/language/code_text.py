"""Code in and out of words: a fence around what is asked about, the block out of an answer, and what Python itself says of it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from pipelines.words.languages import Language, is_known, language_of

_FENCE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)\n(?P<body>.*?)(?:^(?P=fence)[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_LOOKS_LIKE_PYTHON = re.compile(r"\s*(#|@\w|(def|class|import|from|async def)\b)")
COMPILER_SECONDS = 20.0
_ASK_COMPILER = """
import json, sys, warnings
code = sys.stdin.buffer.read().decode()
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    compile(code, "<code>", "exec", dont_inherit=True)
print(json.dumps([[warning.lineno, str(warning.message)] for warning in heard]))
"""


@dataclass(frozen=True)
class Finding:
    """Something wrong in a line of code, counted from 1."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def fenced(code: str, language: Language) -> str:
    """The code as a Markdown block, its fence longer than any inside."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    ticks = "`" * (longest + 1)
    return f"{ticks}{language.fence}\n{code.rstrip()}\n{ticks}"


def code_in(answer: str, language: Language) -> tuple[str, Language] | None:
    """The code an answer holds, and its language; None when it is only words.

    The first fenced block in the wanted language, else the first block; a block that was cut off counts to the end. Without any
    fence the whole answer is code, except that Python has to look like Python.
    """
    blocks = [
        (match["body"].rstrip() + "\n", match["info"].split()[0] if match["info"].split() else "")
        for match in _FENCE.finditer(answer)
        if match["body"].strip()
    ]
    if not blocks:
        return _bare(answer, language)
    for body, name in blocks:
        if name and language_of(name) == language:
            return body, language
    body, name = blocks[0]
    return body, language_of(name) if is_known(name) else language


def _bare(answer: str, language: Language) -> tuple[str, Language] | None:
    code = answer.strip("\n").rstrip() + "\n"
    if not code.strip():
        return None
    if language.fence == "python" and not _LOOKS_LIKE_PYTHON.match(code) and syntax_error(code):
        return None
    return code, language


def syntax_error(code: str) -> Finding | None:
    """Where Python stops understanding the code, or None."""
    try:
        _tree(code)
    except SyntaxError as error:
        return Finding(error.lineno or 1, f"{type(error).__name__}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Finding(1, f"Python cannot read this: {error or type(error).__name__}")
    return None


def python_findings(code: str) -> list[Finding]:
    """What can be said of Python code without running it: the syntax error, or else the compiler's warnings and a few sure signs
    of a bug, by line."""
    if broken := syntax_error(code):
        return [broken]
    found = _warnings_of(code)
    for node in ast.walk(_tree(code)):
        found += _signs(node)
    return sorted(set(found), key=lambda finding: (finding.line, finding.message))


def _tree(code: str) -> ast.Module:
    """The syntax tree; raises what `compile` raises. Nothing is run."""
    tree = ast.parse(code, "<code>")
    compile(code, "<code>", "exec", dont_inherit=True)
    return tree


def _warnings_of(code: str) -> list[Finding]:
    """What the compiler warns of, asked in a process of its own: recording warnings changes them for every thread."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _ASK_COMPILER]
    try:
        answer = subprocess.run(
            command, input=code.encode(), capture_output=True, timeout=COMPILER_SECONDS, check=True
        )
        return [Finding(line, _sentence(text)) for line, text in json.loads(answer.stdout)]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []  # nothing is known of the code then, and nothing is claimed


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _signs(node: ast.AST) -> list[Finding]:
    """Signs of a bug in one node of the syntax tree."""
    found: list[Finding] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if isinstance(default, ast.List | ast.Dict | ast.Set):
                found.append(
                    Finding(
                        default.lineno, "A list, dict or set as default is shared by all calls; use None."
                    )
                )
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        found.append(Finding(node.lineno, "A bare except also catches KeyboardInterrupt and typing errors."))
    if isinstance(node, ast.Compare):
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if (
                isinstance(operator, ast.Eq | ast.NotEq)
                and isinstance(right, ast.Constant)
                and right.value is None
            ):
                found.append(Finding(node.lineno, "Compare with None by `is`, not `==`."))
    if isinstance(node, ast.Dict):
        keys = Counter(key.value for key in node.keys if isinstance(key, ast.Constant))
        found += [
            Finding(node.lineno, f"The key {key!r} is given twice; the last one wins.")
            for key, times in keys.items()
            if times > 1
        ]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
        by = node.right.value if isinstance(node.right, ast.Constant) else None
        if by == 0 and not isinstance(by, bool) and not _is_text(node.left):
            found.append(Finding(node.lineno, "Division by zero."))
    for block in ("body", "orelse", "finalbody"):
        statements = getattr(node, block, None)
        for before, after in pairwise(statements if isinstance(statements, list) else ()):
            if isinstance(before, ast.Return | ast.Raise | ast.Break | ast.Continue):
                found.append(Finding(after.lineno, "This is never reached."))
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
