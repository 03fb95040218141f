"""Every answer is heard: what the page asks while its stream is being closed, and what it asks right after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

SCRIPT = Path(__file__).parents[2] / "assets/theme/stream.js"
SERVER = """
() => {
  // Gradio's server, as far as a stream goes: `say` puts a message on the line that is open, `answer` lets a question through
  const server = { lines: [], questions: [], hungUp: 0 };
  const encoder = new TextEncoder();
  window.fetch = (address, options) => {
    if (address.includes("/queue/join")) {
      return new Promise((go) => server.questions.push((id) => go(Response.json({ event_id: id }))));
    }
    return Promise.resolve(new Response(new ReadableStream({ start(line) {
      server.lines.push(line);
      options.signal.addEventListener("abort", () => { server.hungUp += 1; });
    } })));
  };
  server.say = (msg, id, line = server.lines.at(-1)) => {
    const text = `data: ${JSON.stringify({ msg, event_id: id })}\\n\\n`;
    [text.slice(0, 9), text.slice(9)].forEach((part) => line.enqueue(encoder.encode(part)));  // it comes in pieces
    if (msg === "close_stream") line.close();
  };
  window.server = server;
}
"""
CLIENT = """
() => {
  // and its page: hears what comes, and hangs up at the word to close
  window.heard = [];
  window.open_stream = async () => {
    const hangUp = new AbortController();
    const answer = await fetch("/queue/data?session_hash=s", { signal: hangUp.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      value.split("\\n\\n").filter(Boolean).forEach((text) => {
        const told = JSON.parse(text.slice(6));
        window.heard.push(told.msg + (told.event_id ? " " + told.event_id : ""));
        if (told.msg === "close_stream") hangUp.abort();
      });
    }
  };
}
"""


@pytest.fixture
def line(browser: Any) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.evaluate(SERVER)
    page.add_script_tag(path=str(SCRIPT))
    page.evaluate(CLIENT)
    yield page
    context.close()


def heard(page: Any, count: int) -> list[str]:
    page.wait_for_function(f"window.heard.length >= {count}")
    return list(page.evaluate("window.heard"))


def ask(page: Any, name: str) -> None:
    """Ask, and let the question through: the page knows its number."""
    page.evaluate("() => { window.asked = fetch('/queue/join'); }")
    page.evaluate("async (id) => { server.questions.pop()(id); await window.asked; }", name)


def test_the_stream_ends_when_nothing_is_owed(line: Any) -> None:
    ask(line, "one")
    line.evaluate("() => { open_stream(); }")
    line.wait_for_function("server.lines.length === 1")
    line.evaluate("() => { server.say('process_completed', 'one'); server.say('close_stream'); }")
    assert heard(line, 2) == ["process_completed one", "close_stream"]
    assert line.evaluate("[server.lines.length, server.hungUp]") == [1, 0]


def test_what_was_asked_as_the_stream_closed_is_heard(line: Any) -> None:
    """The server said that nothing was on its way, then came the next question: its answer once waited for one more."""
    ask(line, "one")
    line.evaluate("() => { open_stream(); }")
    line.wait_for_function("server.lines.length === 1")
    line.evaluate("() => { window.asked = fetch('/queue/join'); }")  # on its way
    line.evaluate("() => { server.say('process_completed', 'one'); server.say('close_stream'); }")
    line.evaluate("async () => { server.questions.pop()('two'); await window.asked; }")
    line.wait_for_function("server.lines.length === 2")
    line.evaluate("() => { server.say('process_completed', 'two'); server.say('close_stream'); }")
    assert heard(line, 3) == ["process_completed one", "process_completed two", "close_stream"]
    assert line.evaluate("server.hungUp") == 0


def test_a_question_that_hangs_holds_up_no_other_answer(line: Any) -> None:
    ask(line, "one")
    line.evaluate("() => { open_stream(); }")
    line.wait_for_function("server.lines.length === 1")
    line.evaluate("() => { fetch('/queue/join'); }")  # and hangs
    line.evaluate("() => { server.say('process_completed', 'one'); server.say('close_stream'); }")
    ask(line, "two")
    line.wait_for_function("server.lines.length === 2")
    line.evaluate("() => { server.say('process_completed', 'two'); }")
    assert heard(line, 2) == ["process_completed one", "process_completed two"]


def test_an_answer_may_come_before_the_number_of_its_question(line: Any) -> None:
    ask(line, "one")
    line.evaluate("() => { open_stream(); }")
    line.wait_for_function("server.lines.length === 1")
    line.evaluate("() => { window.asked = fetch('/queue/join'); }")
    line.evaluate("() => { server.say('process_completed', 'one'); server.say('process_completed', 'two'); }")
    assert heard(line, 2) == ["process_completed one", "process_completed two"]
    line.evaluate(
        "async () => { server.questions.pop()('two'); await window.asked; server.say('close_stream'); }"
    )
    assert heard(line, 3)[-1] == "close_stream"
    assert line.evaluate("server.lines.length") == 1


def test_a_page_that_leaves_hangs_up(line: Any) -> None:
    line.evaluate(
        "() => { window.gone = new AbortController(); fetch('/queue/data', { signal: gone.signal }); }"
    )
    line.wait_for_function("server.lines.length === 1")
    line.evaluate("gone.abort()")
    assert line.evaluate("server.hungUp") == 1
