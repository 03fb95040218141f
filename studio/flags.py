"""Every setting, declared once with the standard library alone, and the flags made from it.

`--help` and `doctor` answer before anything is installed, so nothing here may import a package; `settings.py` checks the values.
"""

# ruff: noqa: RUF009 (setting() is dataclasses.field with our words)
from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints

from studio import __version__

ROOT = Path(__file__).resolve().parents[1]


class Reach(TypedDict):
    """How people reach a setting. constants: further flags that set a fixed value, with their help."""

    flags: list[str]
    env: str
    constants: dict[str, tuple[object, str]]
    page: bool
    metavar: str


def setting(
    default: object,
    help: str,
    *flags: str,
    env: str = "",
    constants: Mapping[str, tuple[object, str]] | None = None,
    page: bool = False,
    metavar: str = "",
    repr: bool = True,
    **bounds: object,
) -> Any:
    """A field of `Flags` and how people reach it.

    flags: its spellings on the command line. constants: further flags that set a fixed value, with their help. page: of use only
    while the page is served, so `generate` does not offer it. bounds: pydantic's names, such as ge and pattern.
    """
    reach: Reach = {
        "flags": list(flags),
        "env": env,
        "constants": dict(constants or {}),
        "page": page,
        "metavar": metavar,
    }
    told = {"description": help, "json_schema_extra": reach, **bounds}  # as pydantic reads them
    return dataclasses.field(default=default, repr=repr, metadata=told)


@dataclass(frozen=True)
class Flags:
    """What this studio was told about its machine, its folders and its page, not yet checked."""

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

    interrupted: Literal["ask", "once", "never"] = setting(
        "ask",
        "What becomes of a job that a crash or a stop ended: offered to be put back, put back once by itself, or neither.",
        "--interrupted",
        env="STUDIO_INTERRUPTED",
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
        "GB (10⁹ bytes) of device memory models may use; 0 for all of it.",
        "--vram-budget",
        env="STUDIO_VRAM_BUDGET",
        metavar="GB",
        ge=0,
    )
    reserve_vram: float | None = setting(
        None,
        "GB (10⁹ bytes) of device memory to leave to other programs (default: a tenth, at most 1).",
        "--reserve-vram",
        env="STUDIO_RESERVE_VRAM",
        metavar="GB",
        ge=0,
    )
    ram_budget: float = setting(
        0.0,
        "GB (10⁹ bytes) of main memory for models; 0 for what the machine can spare.",
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

    # the queue
    max_waiting: int = setting(
        100,
        "Jobs one person may have waiting; 0 for no limit.",
        "--max-waiting",
        env="STUDIO_MAX_WAITING",
        metavar="JOBS",
        ge=0,
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


FIELDS: dict[str, dataclasses.Field[object]] = {field.name: field for field in dataclasses.fields(Flags)}
TYPES: dict[str, object] = get_type_hints(Flags)


def add_arguments(parser: argparse.ArgumentParser, page: bool = True) -> None:
    """Offer every setting as a flag; `page=False` leaves out what only matters while the page is served."""
    parser.add_argument("--version", action="version", version=f"Atelier {__version__}")
    for name, field in FIELDS.items():
        reach = reach_of(name)
        if reach["page"] and not page:
            continue
        kind: dict[str, Any] = {"metavar": reach["metavar"] or None}
        if TYPES[name] is bool:
            kind = {"action": "store_true"}
        elif TYPES[name] == tuple[Path, ...]:
            kind |= {"action": "append"}
        elif get_origin(TYPES[name]) is Literal:
            kind |= {"choices": get_args(TYPES[name])}
        shown = "" if field.default in (None, False, "", ()) else f" (default: {field.default})"
        parser.add_argument(
            *reach["flags"],
            dest=name,
            default=argparse.SUPPRESS,
            help=field.metadata["description"] + shown,
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


def reach_of(name: str) -> Reach:
    """How people reach this setting."""
    reach: Reach = FIELDS[name].metadata["json_schema_extra"]
    return reach
