"""Settings, one frozen object: flags over environment over `studio.toml` in the data folder over defaults.

A setting is declared once, as a field of `Settings`; its flags, environment variables, key in `studio.toml`, help and checks
all come from there. Flags are spelled as people know them from other studios.
"""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.catalog import Catalog
from pipelines.errors import InvalidRequest
from studio import __version__

if TYPE_CHECKING:
    from pipelines.catalog import Catalog

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
GIB = 1 << 30


class InvalidSetting(InvalidRequest):
    """A flag, variable or line of `studio.toml` that cannot be used; `field` names the setting."""


def setting(
    default: Any,
    help: str,
    *flags: str,
    env: str = "",
    constants: Mapping[str, tuple[Any, str]] | None = None,
    page: bool = False,
    metavar: str = "",
    **bounds: Any,
) -> Any:
    """A field of `Settings` and how people reach it.

    flags: its spellings on the command line. constants: further flags that set a fixed value, with their help. page: of use only while the
    page is served, so `generate` does not offer it.
    """
    reach: Any = {
        "flags": list(flags),
        "env": env,
        "constants": dict(constants or {}),
        "page": page,
        "metavar": metavar,
    }
    return Field(default, description=help, json_schema_extra=reach, **bounds)


class Settings(BaseModel):
    """What this studio was told about its machine, its folders and its page."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    # where things are
    data_dir: Path = setting(
        ROOT / "data",
        "Folder for everything that is made and kept.",
        "--data-dir",
        env="STUDIO_DATA",
        metavar="DIR",
    )
    models_dirs: tuple[Path, ...] = setting(
        (),
        "A folder with models of your own; give it again for more than one.",
        "--models-dir",
        env="STUDIO_MODELS_DIR",
        metavar="DIR",
    )
    extra_model_paths_config: Path | None = setting(
        None,
        "An extra_model_paths.yaml that tells where other programs keep their models.",
        "--extra-model-paths-config",
        env="STUDIO_EXTRA_MODEL_PATHS_CONFIG",
        metavar="FILE",
    )
    offline: bool = setting(
        False, "Never use the network, not even for downloads.", "--offline", env="HF_HUB_OFFLINE"
    )
    disable_metadata: bool = setting(
        False,
        "Leave prompt and settings out of the files.",
        "--disable-metadata",
        env="STUDIO_DISABLE_METADATA",
    )

    # the device
    device: str = setting(
        "auto",
        "Where models run: auto, cpu, mps, cuda, or one of several cards such as cuda:1.",
        "--device",
        env="STUDIO_DEVICE",
        constants={"--cpu": ("cpu", "Same as --device cpu.")},
        pattern=r"^(auto|cpu|mps|xpu|cuda)(:\d+)?$",
    )
    vram_budget: float = setting(
        0.0,
        "GB of device memory models may use; 0 for all of it.",
        "--vram-budget",
        env="STUDIO_VRAM_BUDGET",
        metavar="GB",
        ge=0,
    )
    reserve_vram: float | None = setting(
        None,
        "GB of device memory to leave to other programs (default: a tenth, at most 1).",
        "--reserve-vram",
        env="STUDIO_RESERVE_VRAM",
        metavar="GB",
        ge=0,
    )
    ram_budget: float = setting(
        0.0,
        "GB of main memory for models; 0 for what the machine can spare.",
        "--ram-budget",
        env="STUDIO_RAM_BUDGET",
        metavar="GB",
        ge=0,
    )
    idle_timeout: float = setting(
        10.0,
        "Minutes a model stays in memory unused; -1 for as long as nobody needs the room.",
        "--idle-timeout",
        env="STUDIO_IDLE_TIMEOUT",
        metavar="MINUTES",
        constants={
            "--lowvram": (0.0, "Let every model go as soon as its job is done (same as --idle-timeout 0)."),
            "--medvram": (1.0, "Let models go after a minute (same as --idle-timeout 1)."),
            "--highvram": (-1.0, "Keep models until others need the room (same as --idle-timeout -1)."),
        },
        ge=-1,
    )

    # the page
    host: str = setting(
        "127.0.0.1",
        "Address to serve on.",
        "--host",
        "--server-name",
        env="GRADIO_SERVER_NAME",
        page=True,
        min_length=1,
    )
    port: int = setting(
        7860, "Port to serve on.", "--port", env="GRADIO_SERVER_PORT", page=True, ge=1, le=65535
    )
    listen: bool = setting(
        False,
        "Serve to other machines too; a login is required then.",
        "--listen",
        env="STUDIO_LISTEN",
        page=True,
    )
    share: bool = setting(
        False,
        "Make a public link through Gradio's servers; a login is required then.",
        "--share",
        env="GRADIO_SHARE",
        page=True,
    )
    auth: str = setting(
        "",
        "Logins as user:password, several separated by commas.",
        "--auth",
        "--gradio-auth",
        env="STUDIO_AUTH",
        page=True,
        metavar="USER:PASSWORD",
        repr=False,
    )
    theme: Literal["system", "light", "dark"] = setting(
        "system", "Colours of the page.", "--theme", env="STUDIO_THEME", page=True
    )
    autolaunch: bool = setting(
        False,
        "Open the page in the browser.",
        "--autolaunch",
        "--auto-launch",
        "--open-browser",
        env="STUDIO_AUTOLAUNCH",
        page=True,
    )
    root_path: str = setting(
        "",
        "Path the page has behind a proxy, such as /studio.",
        "--root-path",
        "--subpath",
        env="GRADIO_ROOT_PATH",
        page=True,
        metavar="PATH",
    )
    tls_keyfile: Path | None = setting(
        None,
        "Private key, to serve https.",
        "--tls-keyfile",
        env="STUDIO_TLS_KEYFILE",
        page=True,
        metavar="FILE",
    )
    tls_certfile: Path | None = setting(
        None,
        "Certificate, to serve https.",
        "--tls-certfile",
        env="STUDIO_TLS_CERTFILE",
        page=True,
        metavar="FILE",
    )

    @classmethod
    def from_args(cls, arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from parsed flags, then the environment, then `studio.toml`; raises InvalidSetting naming the place."""
        flags = {name: value for name, value in vars(arguments).items() if name in cls.model_fields}
        variables = _from_environment(environ)
        data_dir = Path(
            flags.get("data_dir", variables.get("data_dir", cls.model_fields["data_dir"].default))
        )
        file = data_dir.expanduser() / "studio.toml"
        values = {**_from_toml(file), **variables, **flags}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else ""
            raise _explain(error, name, values.get(name), _place(name, flags, variables, file)) from None

    @field_validator("data_dir", "models_dirs", "extra_model_paths_config", "tls_keyfile", "tls_certfile")
    @classmethod
    def _absolute(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(path.expanduser().absolute() for path in value)
        return value and value.expanduser().absolute()

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
        return int(self.vram_budget * GIB)

    @property
    def reserve_vram_bytes(self) -> int | None:
        return None if self.reserve_vram is None else int(self.reserve_vram * GIB)

    @property
    def ram_budget_bytes(self) -> int:
        return int(self.ram_budget * GIB)

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


def add_arguments(parser: argparse.ArgumentParser, page: bool = True) -> None:
    """Offer every setting as a flag; `page=False` leaves out what only matters while the page is served."""
    parser.add_argument("--version", action="version", version=f"Atelier {__version__}")
    for name, field in Settings.model_fields.items():
        reach = _reach(name)
        if reach["page"] and not page:
            continue
        kind: dict[str, Any] = {"metavar": reach["metavar"] or None}
        if field.annotation is bool:
            kind = {"action": "store_true"}
        elif field.annotation == tuple[Path, ...]:
            kind |= {"action": "append"}
        elif get_origin(field.annotation) is Literal:
            kind |= {"choices": get_args(field.annotation)}
        shown = "" if field.default in (None, False, "", ()) else f" (default: {field.default})"
        parser.add_argument(
            *reach["flags"],
            dest=name,
            default=argparse.SUPPRESS,
            help=(field.description or "") + shown,
            **kind,
        )
        for flag, (value, help) in reach["constants"].items():
            parser.add_argument(
                flag,
                dest=name,
                action="store_const",
                const=value,
                default=argparse.SUPPRESS,
                help=help,
            )


def _reach(name: str) -> dict[str, Any]:
    reach = Settings.model_fields[name].json_schema_extra
    assert isinstance(reach, dict), f"{name} was not declared with setting()"
    return reach


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        value = environ.get(_reach(name)["env"], "")
        if value:
            is_list = field.annotation == tuple[Path, ...]
            values[name] = [part for part in value.split(os.pathsep) if part] if is_list else value
    return values


def _from_toml(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidSetting(
            f"{file} cannot be read.", detail=str(error), hint="Mend the file or remove it."
        ) from None
    for key in values:
        if key not in Settings.model_fields or key == "data_dir":
            known = ", ".join(name for name in Settings.model_fields if name != "data_dir")
            raise InvalidSetting(
                f"{file} has a line for {key!r}, which is not a setting there.",
                field=key,
                detail=f"It knows {known}.",
                hint="Correct the name or remove the line.",
            )
    return values


def _place(name: str, flags: Mapping[str, Any], variables: Mapping[str, Any], file: Path) -> str:
    if name in flags:
        return f"the flag {_reach(name)['flags'][0]}"
    return f"the environment variable {_reach(name)['env']}" if name in variables else str(file)


def _explain(error: ValidationError, name: str, value: Any, place: str) -> InvalidSetting:
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
