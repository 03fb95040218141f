"""How the page looks, as Gradio theme tokens: warm paper, dark ink and one accent, vermilion.

The rest of the look is `assets/theme/atelier.css`, which reads the same tokens. Fonts are bundled; nothing is fetched.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

import gradio as gr

from pipelines.messages import KINDS
from studio.page.tabs import TABS

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "theme"
TITLE = "Atelier"

HEAD = """
<link rel="icon" href="theme/icon.svg" type="image/svg+xml">
<link rel="preload" href="theme/fonts/instrument-sans-latin-wght-normal.woff2" as="font" type="font/woff2" crossorigin>
<link rel="stylesheet" href="theme/atelier.css?{version}">
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<style>{shown} { display: flex; }</style>
"""
# the page's own scripts, in their order: what Gradio draws calls them, so they stand in the document before Gradio's
SCRIPTS = "".join(
    f'<script src="theme/{name}.js?{{version}}" data-told="{{told}}"></script>'
    for name in ("stream", "atelier", "desk", "queue")
)

PAPER = gr.themes.Color(
    name="paper",
    c50="#faf9f6",
    c100="#f4f2ed",
    c200="#e7e3db",
    c300="#d3cdc2",
    c400="#a39c90",
    c500="#756f65",
    c600="#57524a",
    c700="#3d3934",
    c800="#292622",
    c900="#1d1b18",
    c950="#141210",
)
VERMILION = gr.themes.Color(
    name="vermilion",
    c50="#fdf3ef",
    c100="#fbe3da",
    c200="#f6c3b2",
    c300="#f09d82",
    c400="#e9734f",
    c500="#d8502b",
    c600="#c23d1a",
    c700="#a03215",
    c800="#7f2a14",
    c900="#632413",
    c950="#361008",
)


def head() -> str:
    """What Gradio adds to the page's <head> when it starts."""
    shown = ", ".join(f':root body[data-tab="{tab.module}"] .pane-{tab.module}' for tab in TABS)
    return _versioned(HEAD.replace("{shown}", shown))


def scripts() -> str:
    """The page's own scripts, told what panes there are and what the kinds of files are called.

    They are run before anything of Gradio is, however slow a line or a machine is.
    """
    told = {
        "panes": [tab.module for tab in TABS],
        "things": {name: kind.thing for name, kind in KINDS.items()},
    }
    return _versioned(SCRIPTS.replace("{told}", escape(json.dumps(told))))


def _versioned(markup: str) -> str:
    """With a version, which makes a browser fetch style and script anew when they change."""
    files = [*FOLDER.glob("*.css"), *FOLDER.glob("*.js")]
    version = max(int(file.stat().st_mtime) for file in files)
    return re.sub(r"\{version\}", str(version), markup)


def theme() -> gr.themes.Base:
    """The theme in light and dark."""
    look = gr.themes.Base(
        primary_hue=VERMILION,
        secondary_hue=PAPER,
        neutral_hue=PAPER,
        radius_size=gr.themes.sizes.radius_lg,
        font=("Instrument Sans", "ui-sans-serif", "system-ui", "sans-serif"),
        font_mono=("JetBrains Mono", "ui-monospace", "Consolas", "monospace"),
    )
    clear = "transparent"
    return look.set(
        body_background_fill="#f6f4ef",
        body_background_fill_dark="#151311",
        body_text_color="#211e1a",
        body_text_color_dark="#ece8e1",
        body_text_color_subdued="#6a645b",
        body_text_color_subdued_dark="#a8a196",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1d1b18",
        background_fill_secondary="#f4f2ed",
        background_fill_secondary_dark="#24211e",
        border_color_primary="#e3dfd6",
        border_color_primary_dark="#35312c",
        border_color_accent="*neutral_300",
        border_color_accent_dark="*neutral_600",
        color_accent="*primary_600",
        color_accent_soft="#ece8df",
        color_accent_soft_dark="#2e2a25",
        border_color_accent_subdued="#ddd8cc",
        border_color_accent_subdued_dark="#3d3934",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_hover="*primary_800",
        link_text_color_hover_dark="*primary_200",
        link_text_color_active="*primary_800",
        link_text_color_active_dark="*primary_200",
        link_text_color_visited="*primary_700",
        link_text_color_visited_dark="*primary_300",
        block_background_fill=clear,
        block_background_fill_dark=clear,
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_padding="0px",
        block_label_background_fill=clear,
        block_label_background_fill_dark=clear,
        block_label_border_width="0px",
        block_label_border_width_dark="0px",
        block_label_text_color="*body_text_color",
        block_label_text_color_dark="*body_text_color",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_title_text_weight="600",
        block_title_text_size="13px",
        block_info_text_size="12px",
        block_info_text_color="*body_text_color_subdued",
        block_info_text_color_dark="*body_text_color_subdued",
        form_gap_width="14px",
        layout_gap="14px",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1d1b18",
        input_background_fill_focus="#ffffff",
        input_background_fill_focus_dark="#1d1b18",
        input_border_color="#d9d4c9",
        input_border_color_dark="#3d3934",
        input_border_color_focus="#3d3934",
        input_border_color_focus_dark="#cfc8bc",
        input_border_width="1px",
        input_border_width_dark="1px",
        input_shadow="none",
        input_shadow_dark="none",
        input_shadow_focus="0 0 0 3px #211e1a14",
        input_shadow_focus_dark="0 0 0 3px #ece8e11f",
        input_placeholder_color="#736d63",
        input_placeholder_color_dark="#948d82",
        input_radius="10px",
        slider_color="#3d3934",
        slider_color_dark="#cfc8bc",
        checkbox_background_color_selected="#3d3934",
        checkbox_background_color_selected_dark="#a03215",
        checkbox_border_color_selected="#3d3934",
        checkbox_border_color_selected_dark="#a03215",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_primary_border_color=clear,
        button_primary_border_color_dark=clear,
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#292622",
        button_secondary_background_fill_hover="#f4f2ed",
        button_secondary_background_fill_hover_dark="#35312c",
        button_secondary_border_color="#d9d4c9",
        button_secondary_border_color_dark="#3d3934",
        button_secondary_text_color="*body_text_color",
        button_secondary_text_color_dark="*body_text_color",
        button_border_width="1px",
        button_border_width_dark="1px",
        button_large_radius="12px",
        button_large_text_weight="600",
        button_large_text_size="15px",
        button_large_padding="12px 20px",
        button_medium_radius="10px",
        button_small_radius="8px",
        button_transition="background-color .12s ease, border-color .12s ease",
        error_text_color="#a3162f",
        error_text_color_dark="#ff9aa8",
        error_border_color="#a3162f",
        error_border_color_dark="#e0556c",
        loader_color="*primary_600",
        loader_color_dark="*primary_400",
        code_background_fill="#f4f2ed",
        code_background_fill_dark="#24211e",
    )
