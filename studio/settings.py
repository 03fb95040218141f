"""Settings, one frozen object: flags over environment over `studio.toml` in the data folder over defaults.

A setting is declared once, as a field of `flags.Flags`; its flags, environment variables, key in `studio.toml`, help and bounds
all come from there. Flags are spelled as people know them from other studios.
"""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from pipelines.catalog import Catalog
from pipelines.errors import GB, InvalidRequest
from studio.flags import FIELDS, ROOT, TYPES, Flags, add_arguments, reach_of

__all__ = ["ROOT", "InvalidSetting", "Settings", "add_arguments"]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class InvalidSetting(InvalidRequest):
    """A flag, variable or line of `studio.toml` that cannot be used; `field` names the setting."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Settings(Flags):
    """What this studio was told about its machine, its folders and its page, checked."""

    @classmethod
    def from_args(cls, arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from parsed flags, then the environment, then `studio.toml`; raises InvalidSetting naming the place."""
        flags = {name: value for name, value in vars(arguments).items() if name in FIELDS}
        variables = _from_environment(environ)
        data_dir = Path(flags.get("data_dir", variables.get("data_dir", FIELDS["data_dir"].default)))
        file = data_dir.expanduser() / "studio.toml"
        values: dict[str, Any] = {**_from_toml(file), **variables, **flags}
        try:
            return cls(**values)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else ""
            raise _explain(error, name, values.get(name), _place(name, flags, variables, file)) from None

    @field_validator("data_dir", "models_dirs", "extra_model_paths_config", "tls_keyfile", "tls_certfile")
    @classmethod
    def _absolute(cls, value: Path | tuple[Path, ...] | None) -> Path | tuple[Path, ...] | None:
        if isinstance(value, tuple):
            return tuple(path.expanduser().absolute() for path in value)
        return value.expanduser().absolute() if value is not None else None

    @field_validator("models_dirs")
    @classmethod
    def _folders_exist(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for folder in value:
            if not folder.is_dir():
                raise ValueError(f"there is no folder {folder}")
        return value

    @field_validator("extra_model_paths_config", "tls_keyfile", "tls_certfile")
    @classmethod
    def _file_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("auth")
    @classmethod
    def _logins_have_two_parts(cls, value: str) -> str:
        for login in filter(None, value.split(",")):
            user, _, password = login.partition(":")
            if not user.strip() or not password:
                raise ValueError("each login is written user:password")
        return value

    @field_validator("root_path")
    @classmethod
    def _one_leading_slash(cls, value: str) -> str:
        return "/" + value.strip("/") if value.strip("/") else ""

    @model_validator(mode="after")
    def _tls_needs_both(self) -> Self:
        if (self.tls_keyfile is None) != (self.tls_certfile is None):
            raise ValueError("--tls-keyfile and --tls-certfile only work together")
        return self

    @property
    def bind_host(self) -> str:
        """The address to bind: every interface with `--listen`, unless an address was chosen."""
        return "0.0.0.0" if self.listen and self.host in LOOPBACK else self.host

    @property
    def needs_login(self) -> bool:
        """Whether anyone but this machine can reach the page."""
        return self.share or self.bind_host not in LOOPBACK

    @property
    def logins(self) -> dict[str, str]:
        """User → password, as given; empty when no login was given."""
        pairs = (login.partition(":") for login in filter(None, self.auth.split(",")))
        return {user.strip(): password for user, _, password in pairs}

    @property
    def keep_alive_seconds(self) -> float:
        """How long an idle model stays on the device; negative for as long as nobody needs the room."""
        return self.idle_timeout * 60

    @property
    def vram_budget_bytes(self) -> int:
        return int(self.vram_budget * GB)

    @property
    def reserve_vram_bytes(self) -> int | None:
        return None if self.reserve_vram is None else int(self.reserve_vram * GB)

    @property
    def ram_budget_bytes(self) -> int:
        return int(self.ram_budget * GB)

    def catalog(self) -> Catalog:
        """The models this studio offers: what ships, the folders it was told of, the hub's cache and its recommended list."""
        more: list[Path] = []
        if self.extra_model_paths_config:
            from pipelines.catalog.scan import extra_model_paths

            more = extra_model_paths(self.extra_model_paths_config)
        folders = (self.data_dir / "models", *self.models_dirs, *more)
        return Catalog(folders, registry=self.data_dir / "models.json")

    def environment(self) -> dict[str, str]:
        """What libraries read once, when they are imported: set it before importing them, here and in the worker."""
        variables = {
            "GRADIO_TEMP_DIR": str(self.data_dir / "gradio"),
            # nothing is sent to anyone, and prompts are not kept in the visitor's browser
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_RUN_HISTORY": "False",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
        }
        return variables | ({"HF_HUB_OFFLINE": "1"} if self.offline else {})


def _from_environment(environ: Mapping[str, str]) -> dict[str, str | list[str]]:
    values: dict[str, str | list[str]] = {}
    for name in FIELDS:
        value = environ.get(reach_of(name)["env"], "")
        if value:
            is_list = TYPES[name] == tuple[Path, ...]
            values[name] = [part for part in value.split(os.pathsep) if part] if is_list else value
    return values


def _from_toml(file: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidSetting(
            f"{file} cannot be read.", detail=str(error), hint="Mend the file or remove it."
        ) from None
    for key in values:
        if key not in FIELDS or key == "data_dir":
            known = ", ".join(name for name in FIELDS if name != "data_dir")
            raise InvalidSetting(
                f"{file} has a line for {key!r}, which is not a setting there.",
                field=key,
                detail=f"It knows {known}.",
                hint="Correct the name or remove the line.",
            )
    return values


def _place(name: str, flags: Mapping[str, object], variables: Mapping[str, object], file: Path) -> str:
    if name in flags:
        return f"the flag {reach_of(name)['flags'][0]}"
    return f"the environment variable {reach_of(name)['env']}" if name in variables else str(file)


def _explain(error: ValidationError, name: str, value: object, place: str) -> InvalidSetting:
    reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    reason = reason[:1].upper() + reason[1:].rstrip(".") + "."
    if not name:
        return InvalidSetting(reason, hint="Correct the flags; --help lists them.")
    shown = "" if name == "auth" else f" is {value!r}, which"  # a password has no place in a message
    return InvalidSetting(
        f"The setting {name}{shown} cannot be used.",
        field=name,
        detail=f"{reason} It was read from {place}.",
        hint="Correct it and start again; --help lists every setting.",
    )
