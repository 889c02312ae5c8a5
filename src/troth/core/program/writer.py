"""A program document → YAML text that reads back as the same values.

In: a plain document. Out: block style, fields in their order, texts quoted where they would mean something else.
"""

from __future__ import annotations

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from troth.core.program.problem import Problems
from troth.core.program.yaml_text import plain_scalar

_WIDTH = 120


class _Representer(SafeRepresenter):
    """Knows what an unquoted text means to our reader, which is not what it means to every other one."""

    def represent_text(self, text: str) -> ScalarNode:
        is_text = plain_scalar(text, "", Problems()) == text
        style = ("|" if "\n" in text else None) if is_text else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def ignore_aliases(self, _data: object) -> bool:
        return True


_Representer.add_representer(str, _Representer.represent_text)


class _Text:
    """What a dumper writes to."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, part: str) -> None:
        self.parts.append(part)


def write_yaml(document: object) -> str:
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = _WIDTH
    writer.encoding = None  # type: ignore[assignment]  # text, not bytes
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = _Text()
    writer.dump(document, text)
    return "".join(text.parts)
