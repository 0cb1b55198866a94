"""The encoders that need no network, listed for readers."""

import inspect

from .registry import ENCODERS
from .spaces import reads
from .trained import KINDS


def listed() -> list[dict[str, str]]:
    """A row an encoder: its name, what it reads, and what it is."""
    rows = []
    for name, load in ENCODERS.items():
        about = (inspect.getdoc(load) or "").split("\n\n")[0].replace("\n", " ").replace("`", "")
        rows.append({"name": name, "reads": " and ".join(reads(name)), "what it is": about})
    for kind, about in KINDS.items():
        rows.append({"name": f"corpus-{kind}-<language>", "reads": "text", "what it is": about})
    return rows
