"""Values as people write them: YAML 1.2, in which ``no`` is Norwegian and ``1e-3`` a number."""

import io
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ruamel.yaml import YAML


class NotYAML(ValueError):
    """A text is not YAML: the message says why, in a line."""


@cache
def _reader() -> "YAML":
    from ruamel.yaml import YAML, constructor

    class Plain(constructor.SafeConstructor):
        """What looks like a date is the text that stands there."""

    Plain.add_constructor("tag:yaml.org,2002:timestamp", Plain.construct_yaml_str)
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = Plain
    return reader


def read_yaml(text: str) -> object:
    """Read a text in YAML 1.2; `NotYAML` if it is none."""
    from ruamel.yaml.error import YAMLError

    try:
        return _reader().load(text)
    except (YAMLError, ValueError, LookupError, RecursionError) as error:
        raise NotYAML(" ".join(str(error).split())) from None


def write_yaml(value: object) -> str:
    """Write a value as YAML 1.2 that people edit, which `read_yaml` reads to the same value."""
    from ruamel.yaml import YAML, representer

    class Quoted(representer.SafeRepresenter):
        """A text that begins as a key does is no key within brackets."""

    def quoted(self: Quoted, text: str) -> object:
        style = "'" if text.startswith(("?", ":")) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Quoted.add_representer(str, quoted)
    writer, text = YAML(typ="safe", pure=True), io.StringIO()
    writer.Representer = Quoted
    writer.sort_base_mapping_type_on_output = False
    writer.allow_unicode, writer.width = True, 10**6
    writer.dump(value, text)
    return text.getvalue()


def read_value(text: str, kind: type | None = None) -> object:
    """Read the value that a text stands for where one of a type is expected.

    What is expected to be a text is taken as it stands, so that ``010`` and ``2024-05-01`` are no
    numbers, unless it is in quotes.
    """
    if kind is str and text.strip()[:1] not in ("'", '"'):
        return text
    return read_yaml(text)
