"""Gradio is imported without the editor stubs it writes of itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gradio.component_meta import ComponentMeta

from studio.page import stubs

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> str:
    """What it prints in an interpreter that has not seen Gradio yet."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def test_gradio_still_writes_them_where_we_stop_it() -> None:
    """Where this fails a new Gradio does it elsewhere, or no more: then `studio/page/stubs.py` can go."""
    assert stubs.WRITER in ComponentMeta.__new__.__code__.co_names


def test_no_source_of_gradio_is_parsed_when_the_server_imports_it() -> None:
    code = (
        "import ast, sys\n"
        "from studio.page import stubs\n"
        "stubs.not_written()\n"
        "stubs.not_written()\n"
        "parsed = []\n"
        "parse = ast.parse\n"
        "ast.parse = lambda source, *more, **options: (parsed.append(len(source)), parse(source, *more, **options))[1]\n"
        "import gradio as gr\n"
        "print(sum(length > 5000 for length in parsed), hasattr(gr.Textbox, 'submit'), len(sys.meta_path))\n"
        "import gradio.component_meta as meta\n"
        "print(meta.create_or_modify_pyi(gr.Textbox, 'Textbox', []))"
    )
    before = run("import sys; print(len(sys.meta_path))")
    assert run(code) == f"0 True {before}\nNone"


def test_a_gradio_without_that_function_is_imported_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "gradio").mkdir()
    (tmp_path / "gradio" / "__init__.py").write_text("from gradio import component_meta")
    (tmp_path / "gradio" / "component_meta.py").write_text("other = 1")
    code = (
        "import sys\n"
        "from studio.page import stubs\n"
        "stubs.not_written()\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import gradio.component_meta as meta\n"
        "print(sorted(name for name in vars(meta) if not name.startswith('_')))"
    )
    assert run(code) == "['other']"
