"""One catalogue of models on offer: what ships, what the user's folders hold, what can be downloaded.

Imports no torch: what a folder is gets read from its own words (`scan.py`), downloads go through huggingface_hub (`download.py`).
"""

from pipelines.catalog.catalog import Catalog
from pipelines.messages.spec import ModelSpec, Source

__all__ = ["Catalog", "ModelSpec", "Source"]
