"""Wrong values for every field of a schema."""

import copy
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Path = tuple[str | int, ...]

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]

# By JSON type; a value of a type that the field does not have must be refused, by name.
WRONG: dict[str, list[Any]] = {
    'string': ['', ' ', '\u2028', 'x' * 70000, 'é\u200b\ud7ff\U0010ffff', '9' * 5000, '-1', '0',
               '2147483648', '9223372036854775808', '1e400', 'NaN', '../..', "'; DROP TABLE x --",
               '%s%n', '5\n', '\n', '٣', '0x10', '1_0'],
    'integer': [-1, 0, -0.0, 1e308, 2**31, 2**63, 2**64, -(2**64), 10**30],
    'number': [0.5],
    'boolean': [True, False],
    'null': [None],
    'array': [[], [None], [[]], ['x'] * 1000, DEEP],
    'object': [{}, {'': ''}, {'x': None}, {'x': {'x': {}}}],
}  # fmt: skip


def types(schema: Json) -> set[str]:
    """Return the JSON types that a schema can take; all of them when it does not say."""
    if 'oneOf' in schema and 'type' not in schema:
        return set().union(*(types(part) for part in schema['oneOf']))
    if 'allOf' in schema and 'type' not in schema:
        return set.intersection(*(types(part) for part in schema['allOf']))
    if 'enum' in schema:
        return {_type(value) for value in schema['enum']}
    kinds = schema.get('type', list(WRONG))
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    return found | {'integer'} if 'number' in found else found


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return 'boolean'
    return {str: 'string', int: 'integer', float: 'number', type(None): 'null',
            list: 'array', dict: 'object'}[type(value)]  # fmt: skip


def fields(schema: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Walk all fields: objects' properties and arrays' items."""
    for name, part in schema.get('properties', {}).items():
        yield (*path, name), part
        yield from fields(part, (*path, name))
    for number, part in enumerate(schema.get('patternProperties', {}).values()):
        yield (*path, f'key{number}'), part
    if isinstance(schema.get('items'), dict):
        yield (*path, 0), schema['items']
        yield from fields(schema['items'], (*path, 0))
    for word in ('oneOf', 'anyOf'):
        for part in schema.get(word, ()):
            yield from fields(part, path)


def put(body: Any, path: Path, value: Any) -> Any:
    """Return a copy of the body with one value replaced; what leads there is made."""
    made = copy.deepcopy(body)
    node: Any = made
    for step, following in zip(path, path[1:], strict=False):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if not isinstance(node, list):
                return None
            node[step:] = [node[step] if len(node) > step else empty]
        elif not isinstance(node.get(step), type(empty)):
            node[step] = empty
        node = node[step]
    if not isinstance(node, list if isinstance(path[-1], int) else dict):
        return None
    place: Any = slice(None) if isinstance(path[-1], int) else path[-1]
    last: Any = node
    last[place] = [value] if isinstance(path[-1], int) else value
    return made


def mutations(schema: Json, body: Json) -> Iterator[tuple[Path, Any, Any, bool]]:
    """Yield (field, value, body, whether its type is wrong)."""
    for path, part in fields(schema):
        good = types(part)
        for kind, values in WRONG.items():
            for value in values:
                made = put(body, path, value)
                if made is not None:
                    yield path, value, made, kind not in good


def fitting(schema: Json, body: Any) -> Any:
    """Return a body without the keys that an older schema does not know."""
    if not isinstance(body, dict) or schema.get('additionalProperties', True) is not False:
        return body
    known = schema.get('properties', {})
    kept = {
        key: fitting(known[key], value)
        for key, value in body.items()
        if key in known and _type(value) in types(known[key])
    }
    return kept if known else body
