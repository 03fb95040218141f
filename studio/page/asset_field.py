"""A form control that holds an asset: drop or choose a file, it goes to the library, and the value is the asset's id.

Not `gr.Image`: an id survives a reload, is a recipe's own word for its inputs, and needs no folder served to the page.
A function and not a subclass: Gradio writes a stub file beside every subclass's source.
"""

from __future__ import annotations

import gradio as gr

from pipelines.messages import KINDS
from studio.templates import Macros

ASSET_FIELD = Macros("asset_field.html")
SCRIPT = """
const put = (id) => { props.value = id; trigger('input', {}); };
const take = async (file) => { if (file) put((await window.atelier.upload(file, '$KIND')) || props.value); };
const pick = async (id) => { if (await window.atelier.isKind(id, '$KIND')) put(id); };
element.addEventListener('change', (event) => {
  if (event.target.type === 'file') { event.stopPropagation(); take(event.target.files[0]); }
});
element.addEventListener('click', (event) => { if (event.target.closest('[data-clear]')) put(''); });
element.addEventListener('dragover', (event) => { event.preventDefault(); event.stopPropagation(); });
element.addEventListener('drop', (event) => {
  event.preventDefault(); event.stopPropagation(); window.atelier.dragEnded();
  const id = event.dataTransfer.getData('text/x-asset');
  if (id) pick(id); else take(event.dataTransfer.files[0]);
});
"""


def asset_field(
    *, label: str, info: str = "", value: str = "", kind: str = "image", **options: object
) -> gr.HTML:
    """The control; its value is an asset id, or "" for none. kind: of the assets it takes; others are refused in words."""
    # written into the template: an update of the value drops a component's own template variables
    template = ASSET_FIELD.field(label, info, KINDS[kind])
    script = SCRIPT.replace("$KIND", kind)
    return gr.HTML(
        value, html_template=template, js_on_load=script, apply_default_css=False, label=label, **options
    )
