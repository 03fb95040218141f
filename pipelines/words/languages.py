"""Programming languages as files and fences know them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """title: as people write it. fence: after three backticks. names: other spellings, lower case."""

    title: str
    fence: str
    suffix: str
    media_type: str = "text/plain"
    names: tuple[str, ...] = ()


LANGUAGES = (
    Language("Python", "python", "py", "text/x-python", ("py", "python3")),
    Language("JavaScript", "javascript", "js", "text/javascript", ("js", "node")),
    Language("TypeScript", "typescript", "ts", "text/x-typescript", ("ts",)),
    Language("Java", "java", "java", "text/x-java"),
    Language("C", "c", "c", "text/x-c"),
    Language("C++", "cpp", "cpp", "text/x-c++", ("c++", "cxx")),
    Language("C#", "csharp", "cs", "text/x-csharp", ("c#", "cs")),
    Language("Go", "go", "go", "text/x-go", ("golang",)),
    Language("Rust", "rust", "rs", "text/x-rust", ("rs",)),
    Language("Ruby", "ruby", "rb", "text/x-ruby", ("rb",)),
    Language("PHP", "php", "php", "text/x-php"),
    Language("Swift", "swift", "swift", "text/x-swift"),
    Language("Kotlin", "kotlin", "kt", "text/x-kotlin", ("kt",)),
    Language("Lua", "lua", "lua", "text/x-lua"),
    Language("R", "r", "r", "text/x-r"),
    Language("SQL", "sql", "sql", "application/sql"),
    Language("Bash", "bash", "sh", "text/x-sh", ("sh", "shell", "zsh")),
    Language("HTML", "html", "html", "text/html"),
    Language("CSS", "css", "css", "text/css"),
    Language("JSON", "json", "json", "application/json"),
    Language("YAML", "yaml", "yaml", "application/yaml", ("yml",)),
    Language("TOML", "toml", "toml", "application/toml"),
    Language("XML", "xml", "xml", "application/xml"),
    Language("Markdown", "markdown", "md", "text/markdown", ("md",)),
)
_BY_NAME = {
    name: language
    for language in LANGUAGES
    for name in (language.fence, language.title.lower(), *language.names)
}


def language_of(name: str) -> Language:
    """The language of that name or spelling; one we have no table row for is taken as written."""
    wanted = name.strip().lower()
    return _BY_NAME.get(wanted) or Language(name.strip() or "plain text", wanted.replace(" ", ""), "txt")


def is_known(name: str) -> bool:
    return name.strip().lower() in _BY_NAME
