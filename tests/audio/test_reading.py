"""A text is spoken as a person would read it: expected words written out, and counted by the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.audio.audio import AudioPipeline
from pipelines.audio.reading import read_out
from pipelines.errors import InvalidRequest
from pipelines.messages import AudioRequest
from tests.audio.test_audio import context

MARKDOWN = """# The week

Some **bold** words, `code` and [a link](https://www.example.com/a/b?c=d).

- [x] wash *up*
- sleep

2. Second

```python
print("never said")
```

| day | sun |
|-----|-----|
| Mon | 3 h |

See https://www.example.org/path/x_y?z=1. ~~Not~~ this: ![a red boat](boat.png)
"""
SRT = """\ufeff1
00:00:01,000 --> 00:00:02,500
<i>The quick brown</i>
fox

2
00:00:03,000 --> 00:00:04,000
jumps over. {\\an8}

3
00:00:05,000 --> 00:00:06,000
- The lazy dog.
"""
VTT = """WEBVTT - a film

NOTE
nobody hears this

intro
00:01.000 --> 00:02.000 align:start
<v Roger>The quick brown fox
00:00:03.000 --> 00:00:04.000
jumps over the lazy dog.
"""
PROSE = [
    "Plain words, 3 * 4 * 5 = 60 and 2*3*4 too.",
    "1986. A great year.",
    "    An indented line\n    and its brother.",
    "AT&T said x < y and y > z; snake_case, a_b, C# and 50%.",
    "“Quoted” – with a dash — and … dots",
    "She said: [sic] it's #1!",
    "こんにちは。元気ですか？",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_spoken_as_it_is(text: str) -> None:
    assert read_out(text) == read_out(read_out(text).text)
    assert (read_out(text).text, read_out(text).notes) == (text, ())


def test_markdown_is_spoken_without_its_marks() -> None:
    told = read_out(MARKDOWN)
    assert told.text.split() == [
        "The",
        "week",
        "Some",
        "bold",
        "words,",
        "code",
        "and",
        "a",
        "link.",
        "wash",
        "up",
        "sleep",
        "2.",
        "Second",
        "day,",
        "sun.",
        "Mon,",
        "3",
        "h.",
        "See",
        "example.org.",
        "Not",
        "this:",
        "a",
        "red",
        "boat",
    ]
    assert told.notes == ("Not spoken: 1 code block (1 line).", "1 address is spoken by host alone.")


@pytest.mark.parametrize(("text", "codes"), [(SRT, 3), (VTT, 2)])
def test_subtitles_are_spoken_without_numbers_times_and_tags(text: str, codes: int) -> None:
    told = read_out(text)
    assert (
        told.text.split()
        == "The quick brown fox jumps over The lazy dog.".replace(
            "over The", "over. The" if codes == 3 else "over the"
        ).split()
    )
    assert told.notes == (f"Not spoken: {codes} time codes.",)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<p>Hello <b>big</b> world &amp; all</p>", "Hello big world & all"),
        ("One<br>two<!-- never -->", "One\ntwo"),
        ("<script>never()</script><style>p {}</style>Words", "Words"),
        ("Dear <name>, welcome.", "Dear name, welcome."),
        ("<!-- never closed", ""),
        ('<a href="https://a.b/c">here</a>', "here"),
    ],
)
def test_tags_are_not_spoken_and_placeholders_are(text: str, spoken: str) -> None:
    assert read_out(text).text == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Look at https://www.example.com/very/long?path=1&x=2!", "Look at example.com!"),
        ("www.test.de.", "test.de."),
        ("<https://q.r/s>", "q.r"),
        ("http://user:pw@host.org:8080/x", "host.org"),
        ("ada@example.com", "ada@example.com"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_addresses_are_spoken_by_their_host(text: str, spoken: str) -> None:
    assert read_out(text).text == spoken


def test_the_engine_says_exactly_those_words(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    (artifact,) = AudioPipeline().generate(AudioRequest(prompt=SRT, seed=1), ctx)
    assert [word["text"] for word in artifact.facts["words"]] == [
        "The",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over.",
        "The",
        "lazy",
        "dog.",
    ]
    [note] = artifact.facts["notes"]
    assert note == "Not spoken: 3 time codes. Switch on *As written* to hear every sign."
    assert artifact.recipe.prompt == SRT.removeprefix("\ufeff")  # a mark of the file, not of its words


def test_as_written_means_every_sign(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    request = AudioRequest(prompt="**Hello** `x`", as_written=True, seed=1)
    (artifact,) = AudioPipeline().generate(request, ctx)
    assert [word["text"] for word in artifact.facts["words"]] == ["**Hello**", "`x`"]
    assert "notes" not in artifact.facts


def test_a_text_of_code_alone_is_refused_with_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        list(AudioPipeline().generate(AudioRequest(prompt="```\nx = 1\n```"), context(tmp_path)))
    assert caught.value.detail == "Not spoken: 1 code block (1 line)."


PIECES = [*"ab1 \n\t*_`#->[]()<>!|:.\\&;~=/'\"é", "```", "-->", "http://", "<b>", "<!--", "\ud800"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_whatever_is_written_can_be_read_out(text: str) -> None:
    read_out(text)


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<a ",
        "**",
        "[](",
        "```\n",
        "> ",
        "| ",
        "- ",
        "http://",
        "\\",
        "<script>",
        "&#1;",
        "00:00:01,000 --> ",
    ],
)
def test_a_long_hostile_text_is_read_in_a_moment(piece: str) -> None:
    """The test has the suite's own time limit; a quadratic reader would not be done in minutes."""
    read_out(piece * (20_000 // len(piece)))
