"""`launch.py keys`: make, list and revoke the keys of programs, beside a running studio or without one."""

from __future__ import annotations

import argparse
import sys
import time

from studio.accounts.keys import Key, Keys
from studio.accounts.rights import administrator
from studio.accounts.users import tidy
from studio.database import open_database
from studio.settings import Settings, add_arguments


def main(argv: list[str]) -> int:
    """Only a new key's text goes to standard output, so that a script can catch it."""
    told = _parser().parse_args(argv)
    settings = Settings.from_args(told)
    owner = tidy(told.user) or administrator(settings)
    engine = open_database(settings.data_dir / "studio.db")
    try:
        return _do(Keys(engine), told.do, owner, told.name)
    finally:
        engine.dispose()


def _do(keys: Keys, what: str, owner: str, name: str) -> int:
    match what:
        case "add":
            key, text = keys.add(owner, name)
            words = f"The key {key.name} of {owner}; it is shown this once. Programs send it as `Authorization: Bearer …`."
            print(words, file=sys.stderr)
            print(text)
        case "list":
            print("\n".join(map(line, keys.list(owner))) or f"{owner} has no keys.")
        case "revoke":
            keys.revoke(owner, name)
            print(f"The key {name} of {owner} opens nothing any more.")
    return 0


def line(key: Key) -> str:
    used = f"last used {_day(key.used_at)}" if key.used_at else "never used"
    return f"{key.name:<24} sk-…{key.ending}  made {_day(key.created_at)}, {used}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py keys", description=(__doc__ or "").split(": ", 1)[1])
    commands = parser.add_subparsers(dest="do", required=True, metavar="add|list|revoke")
    for what, help in (("add", "make a key"), ("list", "show the keys"), ("revoke", "end a key")):
        one = commands.add_parser(what, help=help)
        if what == "list":
            one.set_defaults(name="")
        else:
            one.add_argument("name", help="what the key is called: the program that uses it, say")
        one.add_argument(
            "--user", default="", help="whose key: a name from --auth (default: the administrator)"
        )
        add_arguments(one, page=False)
    return parser


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))
