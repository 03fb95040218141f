"""One request class for every task, in a file for the modality it makes.

A class written in one of these files is here, and in `pipelines.messages`, by being written.
"""

from pipelines.messages.requests.audio import *  # noqa: F403
from pipelines.messages.requests.base import *  # noqa: F403
from pipelines.messages.requests.code import *  # noqa: F403
from pipelines.messages.requests.image import *  # noqa: F403
from pipelines.messages.requests.shared import *  # noqa: F403
from pipelines.messages.requests.text import *  # noqa: F403
from pipelines.messages.requests.video import *  # noqa: F403
