"""One table of programming languages, for what writes code, shows it and takes it in."""

from __future__ import annotations

from collections import Counter

from pipelines.words.languages import LANGUAGES, language_of, language_of_file


def test_an_ending_is_of_one_language_and_a_name_too() -> None:
    endings = Counter(ending for one in LANGUAGES for ending in (one.suffix, *one.endings))
    names = Counter(name for one in LANGUAGES for name in {one.fence, one.title.lower(), *one.names})
    assert [word for word, times in (endings + names).items() if max(endings[word], names[word]) > 1] == []


def test_what_is_written_in_a_language_is_taken_in_as_that_language() -> None:
    assert [
        one.title for one in LANGUAGES if language_of_file(one.suffix) is not language_of(one.title)
    ] == []


def test_data_is_a_text_and_no_code() -> None:
    assert {one.suffix for one in LANGUAGES if one.is_text} == {"json", "yaml", "toml", "xml", "md"}
    assert language_of_file("txt") is None
