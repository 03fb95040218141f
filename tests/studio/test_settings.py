"""Settings: where each one may come from, who wins, and what is said about a bad one."""

from __future__ import annotations

import argparse
import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

from studio import __version__
from studio.settings import ROOT, InvalidSetting, Settings, add_arguments


def told(*flags: str, environ: dict[str, str] | None = None, page: bool = True) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser, page=page)
    return Settings.from_args(parser.parse_args(flags), environ or {})


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "studio.toml").write_text("port = 1111\nidle_timeout = 3\ntheme = 'dark'\n")
    environ = {"STUDIO_DATA": str(tmp_path), "GRADIO_SERVER_PORT": "2222", "STUDIO_IDLE_TIMEOUT": "4"}
    settings = told("--port", "3333", environ=environ)
    assert (settings.port, settings.idle_timeout, settings.theme, settings.share) == (
        3333,
        4.0,
        "dark",
        False,
    )
    assert settings.data_dir == tmp_path


def test_without_any_word_it_serves_this_machine_only_on_the_known_port() -> None:
    settings = told()
    assert (settings.bind_host, settings.port, settings.needs_login) == ("127.0.0.1", 7860, False)
    assert settings.data_dir == ROOT / "data"


@pytest.mark.parametrize("flags", [("--listen",), ("--share",), ("--host", "192.168.0.5")])
def test_whoever_lets_others_in_needs_a_login(flags: tuple[str, ...]) -> None:
    assert told(*flags).needs_login


def test_listen_opens_every_interface_unless_an_address_was_chosen() -> None:
    assert told("--listen").bind_host == "0.0.0.0"
    assert told("--listen", "--host", "10.0.0.2").bind_host == "10.0.0.2"


def test_each_flag_has_the_effect_people_know_it_for(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    settings = told(
        "--models-dir", str(folders[0]), "--models-dir", str(folders[1]), "--cpu", "--reserve-vram", "1.5",
        "--vram-budget", "8", "--gradio-auth", "ada:secret,bob:two:parts", "--subpath", "studio/", "--lowvram",
    )  # fmt: skip
    assert settings.models_dirs == tuple(folders)
    assert settings.device == "cpu"
    assert settings.reserve_vram_bytes == 1_500_000_000
    assert settings.vram_budget_bytes == 8 * 10**9
    assert settings.logins == {"ada": "secret", "bob": "two:parts"}
    assert settings.root_path == "/studio"
    assert settings.keep_alive_seconds == 0


def test_models_stay_until_the_room_is_needed_with_highvram() -> None:
    assert told("--highvram").keep_alive_seconds < 0
    assert told("--medvram").keep_alive_seconds == 60
    assert told().keep_alive_seconds == 600


def test_offline_is_heard_by_the_libraries_that_would_use_the_network() -> None:
    assert told("--offline").environment()["HF_HUB_OFFLINE"] == "1"
    assert told(environ={"HF_HUB_OFFLINE": "1"}).offline
    assert "HF_HUB_OFFLINE" not in told().environment()


@pytest.mark.parametrize(
    ("flags", "environ", "field", "words"),
    [
        (("--port", "99999"), {}, "port", "the flag --port"),
        ((), {"GRADIO_SERVER_PORT": "abc"}, "port", "the environment variable GRADIO_SERVER_PORT"),
        (("--auth", "nobody"), {}, "auth", "user:password"),
        (("--models-dir", "/no/such/place"), {}, "models_dirs", "There is no folder /no/such/place"),
        (("--tls-certfile", "/no/cert.pem"), {}, "tls_certfile", "There is no file /no/cert.pem"),
        (("--device", "gpu"), {}, "device", "the flag --device"),
        (("--vram-budget", "-1"), {}, "vram_budget", "greater than or equal to 0"),
    ],
)
def test_a_bad_value_is_named_with_its_place(
    flags: tuple[str, ...], environ: dict[str, str], field: str, words: str
) -> None:
    with pytest.raises(InvalidSetting) as caught:
        told(*flags, environ=environ)
    assert caught.value.field == field
    assert words in str(caught.value.problem())
    assert caught.value.hint


def test_a_password_is_never_part_of_a_message() -> None:
    with pytest.raises(InvalidSetting) as caught:
        told("--auth", "ada:,bob:hunter2")
    assert "hunter2" not in str(caught.value.problem())
    assert "hunter2" not in repr(told("--auth", "bob:hunter2"))


def test_key_and_certificate_come_together(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("")
    with pytest.raises(InvalidSetting, match="only work together"):
        told("--tls-keyfile", str(key))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "prot"),
        ("port = ", "cannot be read"),
        ("data_dir = '/x'", "data_dir"),
        ("port = 0", "studio.toml"),
    ],
)
def test_a_bad_line_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "studio.toml").write_text(text)
    with pytest.raises(InvalidSetting) as caught:
        told("--data-dir", str(tmp_path))
    assert words in str(caught.value.problem())


def test_commands_without_the_page_do_not_offer_its_flags() -> None:
    with pytest.raises(SystemExit):
        told("--listen", page=False)
    assert told("--cpu", page=False).device == "cpu"


def test_every_setting_can_be_reached_and_is_explained() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    reached: dict[str, Any] = {action.dest: action for action in parser._actions}
    assert {field.name for field in dataclasses.fields(Settings)} <= set(reached)
    assert all(action.help for action in parser._actions)


def test_the_version_is_told_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert __version__ == project["version"]
