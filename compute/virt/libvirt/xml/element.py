"""Declares libvirt's XML instead of assembling it.

A class is one element; each field says where in the element its value stands:

    class Rng(Element):
        TAG = 'rng'
        model: str = at('@model')
        rate: int | None = at('rate/@bytes', default=None)
        period: int | None = at('rate/@period', default=None)
        readonly: bool = at('readonly', default=False)
        ports: list[Port] = at('ports', default_factory=list)

``@name`` is an attribute, a plain path an element's text (or, for True, the bare element),
an Element goes below the path under its own tag (path ``.``: directly below).  None, False
and [] leave nothing behind; elements stand in the order in which fields first name them.
``parse`` reads the same fields back, of str, int, float and bool alone.
"""

import dataclasses
import types
import typing
from typing import Any, ClassVar, Self, dataclass_transform

from lxml import etree

Node = etree._Element


def at(path: str, **kwargs: Any) -> Any:
    """Return a dataclass field that stands at ``path``."""
    return dataclasses.field(metadata={'path': path}, **kwargs)


@dataclass_transform(kw_only_default=True, field_specifiers=(at,))
class Element:
    """Base of all elements; a subclass is a dataclass with keyword arguments."""

    TAG: ClassVar[str]
    NAMESPACES: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(kw_only=True)(cls)

    def build(self) -> Node:
        """Return the element as lxml has it."""
        node = etree.Element(_name(self.TAG, self.NAMESPACES), nsmap=self.NAMESPACES or None)
        for field in _fields(self):
            _put(node, field.metadata['path'], getattr(self, field.name), self.NAMESPACES)
        return node

    def to_xml(self) -> str:
        """Return the element as indented text."""
        node = self.build()
        etree.indent(node)
        return etree.tostring(node, encoding='unicode') + '\n'

    @classmethod
    def parse(cls, node: Node) -> Self:
        """Read an element that libvirt gave; what is missing keeps its default."""
        hints = typing.get_type_hints(cls)
        values = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            value = _get(node, field.metadata['path'], _scalar(hints[field.name]), cls.NAMESPACES)
            if value is not None:
                values[field.name] = value
        return cls(**values)


def _fields(element: Element) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(element)  # type: ignore[arg-type]


def _name(tag: str, namespaces: dict[str, str]) -> str:
    prefix, colon, local = tag.partition(':')
    return f'{{{namespaces[prefix]}}}{local}' if colon else tag


def _put(node: Node, path: str, value: Any, namespaces: dict[str, str]) -> None:
    if value is None or value is False or value == []:
        return
    steps, _, attribute = path.partition('@')
    for step in filter(None, steps.split('/')):
        node = node if step == '.' else _child(node, _name(step, namespaces))
    if attribute:
        node.set(attribute, _text(value))
    elif isinstance(value, list):
        node.extend([item.build() for item in value])
    elif isinstance(value, Element):
        node.append(value.build())
    elif value is not True:
        node.text = _text(value)


def _child(node: Node, name: str) -> Node:
    found = node.find(name)
    return etree.SubElement(node, name) if found is None else found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return str(value)


def _scalar(hint: Any) -> type | None:
    """Return the type behind ``T`` or ``T | None`` when it can be read back."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint if hint in (str, int, float, bool) else None


def _get(node: Node, path: str, kind: type | None, namespaces: dict[str, str]) -> Any:
    if kind is None:
        return None
    steps, _, attribute = path.partition('@')
    found: Node | None = node
    for step in filter(None, steps.split('/')):
        found = found if found is None else found.find(_name(step, namespaces))
    if found is None:
        return None
    text = found.get(attribute) if attribute else found.text
    if kind is bool:
        return text == 'yes' if attribute else True
    return None if text is None else kind(text)
