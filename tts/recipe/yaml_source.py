"""YAML text → a tree of values that know their lines.

Plain scalars mean what YAML 1.2's core schema says: `1e-4` is a number; `yes`, `12:30` and `2024-01-01` are strings.
Tags other than the core ones are refused, so nothing but data can be written; so are merge keys (`<<`): a recipe
`extends:` another instead.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import yaml

from tts.errors import RecipeError
from tts.recipe.mistakes import Mistake
from tts.recipe.tree import Node, Place, Scalar

MAX_BYTES: Final = 1_000_000
MAX_VALUES: Final = 20_000  # an alias counts each time it is used: a «billion laughs» file ends here
MAX_DEPTH: Final = 50

_TAG: Final = "tag:yaml.org,2002:"
_PATTERNS: Final = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


class _Loader(yaml.SafeLoader):
    """Composes nodes, resolving plain scalars by the core schema; constructs nothing."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - a class's table, as PyYAML has it
        None: [(f"{_TAG}{name}", re.compile(rf"(?:{pattern})\Z")) for name, pattern in _PATTERNS.items()]
    }

    def fetch_flow_collection_start(self, token_class: type[yaml.Token]) -> None:
        """Stop at the depth limit, since PyYAML looks far ahead in nested flow collections, and slowly."""
        if self.flow_level > MAX_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(token_class)


def parse(content: bytes, place: Place) -> tuple[Node, list[Mistake]]:
    """Return the tree of one YAML document, and the mistakes in spite of which it can be read (keys that stand twice).

    Raises RecipeError where the text is not one YAML document of plain data. `place` names the source; if it has no
    line (an override), everything stands at that very place.
    """
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{place.source}: a recipe must have at most {MAX_BYTES} bytes, got {len(content)}")
    try:
        root = _Loader(content.decode("utf-8-sig")).get_single_node()
    except UnicodeDecodeError as error:
        where = _at_line(place, content.count(b"\n", 0, error.start) + 1)
        raise RecipeError(f"{where}: the text must be UTF-8, got the byte 0x{content[error.start]:02x}") from error
    except yaml.YAMLError as error:
        raise RecipeError(str(_syntax_mistake(error, content, place))) from error
    except RecursionError as error:
        raise RecipeError(f"{place}: the values must be nested at most {MAX_DEPTH} deep") from error
    reader = _Reader(place)
    node = Node(None, place) if root is None else reader.read(root, reader.place_of(root), depth=0)
    return node, reader.mistakes


def _at_line(place: Place, line: int) -> Place:
    return place if place.line is None else replace(place, line=line)


def _syntax_mistake(error: yaml.YAMLError, content: bytes, place: Place) -> Mistake:
    """Return the parser's complaint in one line."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        problem = " ".join(filter(None, [error.context, error.problem]))
        where = _at_line(place, mark.line + 1 if mark else 1)
        if "another document" in problem:
            return Mistake(where, "a recipe must be one YAML document, got a second one (after `---`)")
        advice = ": indent with spaces, never with tabs" if r"'\t'" in problem else ""
        return Mistake(where, f"this is not valid YAML: {problem}{advice}")
    if isinstance(error, yaml.reader.ReaderError):
        line = content.decode("utf-8-sig").count("\n", 0, error.position) + 1
        return Mistake(_at_line(place, line), f"the character {chr(error.character)!a} is not allowed in YAML")
    return Mistake(place, f"this is not valid YAML: {error}")


def _short(node: yaml.Node) -> str:
    return node.tag.replace(_TAG, "!!")


def _foreign(node: yaml.Node, place: Place) -> str:
    return f"{place}: a value must be plain data, got the tag `{_short(node)}`: leave it out"


class _Reader:
    """Turns composed nodes into a tree."""

    def __init__(self, place: Place) -> None:
        self.mistakes: list[Mistake] = []
        self._place = place
        self._num_values = 0

    def place_of(self, node: yaml.Node) -> Place:
        """Return where a node begins."""
        return _at_line(self._place, node.start_mark.line + 1)

    def read(self, node: yaml.Node, place: Place, depth: int) -> Node:
        """Return the tree below `node`; `place` is where its key or list item stands."""
        self._num_values += 1
        if self._num_values > MAX_VALUES or depth > MAX_DEPTH:
            limits = f"at most {MAX_VALUES} values (an alias counts each time), nested at most {MAX_DEPTH} deep"
            raise RecipeError(f"{self._place.source}: a recipe must hold {limits}")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return Node(self._mapping(node, depth), place)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return Node([self.read(item, self.place_of(item), depth + 1) for item in node.value], place)
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node), place, quoted=node.style is not None)
        raise RecipeError(_foreign(node, place))

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self.place_of(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise RecipeError(f"{place}: a key must be a single word, got a list or a mapping")
            key = self._text(key_node)
            if key == "<<" and key_node.style is None:
                raise RecipeError(f"{place}: merge keys (`<<`) are not supported: repeat the keys, or use `extends`")
            if key in entries:
                first = entries[key].place
                self.mistakes.append(Mistake(place, f"the key `{key}` must stand once, got it first at {first}"))
                continue
            entries[key] = self.read(value_node, place, depth + 1)
        return entries

    def _text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise RecipeError(f"{self.place_of(node)}: half a character must not be escaped alone, got {text[:60]!a}")
        return text

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        text = self._text(node)
        try:
            match node.tag.removeprefix(_TAG):
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
                case "float":
                    return float(re.sub(r"\.(inf|nan)\Z", r"\1", text.lower()))
        except (ValueError, KeyError) as error:
            where = self.place_of(node)
            raise RecipeError(f"{where}: the value must be a `{_short(node)}`, got {text[:60]!r}") from error
        raise RecipeError(_foreign(node, self.place_of(node)))
