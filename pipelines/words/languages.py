"""Programming languages as files, fences and editors know them: one table for what writes, shows and takes in code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """title: as people write it. fence: after three backticks. names: other spellings, lower case. endings: of its files, beside
    `suffix`. editor: what the page's editor colours it as; "" for plain. is_text: to a library its files are texts, no code."""

    title: str
    fence: str
    suffix: str
    media_type: str = "text/plain"
    names: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    editor: str = ""
    is_text: bool = False


LANGUAGES = (
    Language("Python", "python", "py", "text/x-python", ("py", "python3"), editor="python"),
    Language("JavaScript", "javascript", "js", "text/javascript", ("js", "node"), endings=("jsx",), editor="javascript"),
    Language("TypeScript", "typescript", "ts", "text/x-typescript", ("ts",), endings=("tsx",), editor="typescript"),
    Language("Java", "java", "java", "text/x-java"),
    Language("C", "c", "c", "text/x-c", endings=("h",), editor="c"),
    Language("C++", "cpp", "cpp", "text/x-c++", ("c++", "cxx"), endings=("cc", "hpp"), editor="cpp"),
    Language("C#", "csharp", "cs", "text/x-csharp", ("c#", "cs")),
    Language("Go", "go", "go", "text/x-go", ("golang",)),
    Language("Rust", "rust", "rs", "text/x-rust", ("rs",)),
    Language("Ruby", "ruby", "rb", "text/x-ruby", ("rb",)),
    Language("PHP", "php", "php", "text/x-php"),
    Language("Swift", "swift", "swift", "text/x-swift"),
    Language("Kotlin", "kotlin", "kt", "text/x-kotlin", ("kt",)),
    Language("Scala", "scala", "scala", "text/x-scala"),
    Language("Lua", "lua", "lua", "text/x-lua"),
    Language("Perl", "perl", "pl", "text/x-perl"),
    Language("R", "r", "r", "text/x-r", editor="r"),
    Language("SQL", "sql", "sql", "application/sql", editor="sql"),
    Language("Bash", "bash", "sh", "text/x-sh", ("sh", "shell", "zsh"), endings=("bash",), editor="shell"),
    Language("HTML", "html", "html", "text/html", editor="html"),
    Language("CSS", "css", "css", "text/css", editor="css"),
    Language("JSON", "json", "json", "application/json", editor="json", is_text=True),
    Language("YAML", "yaml", "yaml", "application/yaml", ("yml",), endings=("yml",), editor="yaml", is_text=True),
    Language("TOML", "toml", "toml", "application/toml", is_text=True),
    Language("XML", "xml", "xml", "application/xml", is_text=True),
    Language("Markdown", "markdown", "md", "text/markdown", ("md",), editor="markdown", is_text=True),
)  # fmt: skip
_BY_NAME = {
    name: language
    for language in LANGUAGES
    for name in (language.fence, language.title.lower(), *language.names)
}
_BY_ENDING = {ending: language for language in LANGUAGES for ending in (language.suffix, *language.endings)}


def language_of(name: str) -> Language:
    """The language of that name or spelling; one we have no table row for is taken as written."""
    wanted = name.strip().lower()
    return _BY_NAME.get(wanted) or Language(name.strip() or "plain text", wanted.replace(" ", ""), "txt")


def language_of_file(suffix: str) -> Language | None:
    """The language of files with that ending, without the dot; None for what is no language's."""
    return _BY_ENDING.get(suffix)


def is_known(name: str) -> bool:
    return name.strip().lower() in _BY_NAME
