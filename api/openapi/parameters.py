"""Parameters: those of the path, those of the query by microversion, the version's header."""

import re
from typing import Any

from kilonova.api import versions
from kilonova.api.openapi import ranges
from kilonova.api.operation import Operation
from kilonova.api.versions import Version

Json = dict[str, Any]

MICROVERSION: Json = {
    'name': versions.HEADER,
    'in': 'header',
    'description': f'The microversion to speak: "{versions.SERVICE} 2.N" or "{versions.SERVICE} '
    f'latest". Without it, {versions.MIN}.',
    'schema': {
        'type': 'string',
        'pattern': rf'^{versions.SERVICE} (latest|2\.\d+)$',
        'default': f'{versions.SERVICE} {versions.MIN}',
    },
}
MICROVERSION_REF: Json = {'$ref': '#/components/parameters/microversion'}


def of_path(path: str) -> list[Json]:
    """Return the parameters of a path, which all of its methods have."""
    return [
        # Nothing between two slashes is another path.
        {'name': name, 'in': 'path', 'required': True, 'schema': {'type': 'string', 'minLength': 1}}
        for name in re.findall(r'{(\w+)}', path)
    ]


def of_query(operations: list[Operation]) -> list[Json]:
    """Return the query parameters that there are at some version."""
    found: dict[str, list[tuple[Version, Version, Json]]] = {}
    required: set[str] = set()
    for one in operations:
        for since, until, schema in one.query.between(one.since, one.until) if one.query else ():
            required.update(schema.get('required', ()))
            for name, values in schema.get('properties', {}).items():
                found.setdefault(name, []).append((since, until, values))
    return [_query(name, parts, name in required) for name, parts in sorted(found.items())]


def _query(name: str, parts: list[tuple[Version, Version, Json]], required: bool) -> Json:
    merged = _merged(parts)
    since, until = merged[0][0], merged[-1][1]
    schema = ranges.any_of(merged)
    return {
        'name': name,
        'in': 'query',
        'required': required,
        'style': 'form',
        'explode': True,
        'schema': schema,
        **ranges.span(since, until),
    }


def _merged(parts: list[tuple[Version, Version, Json]]) -> list[tuple[Version, Version, Json]]:
    """Join neighbours that say the same."""
    merged: list[tuple[Version, Version, Json]] = []
    for since, until, schema in parts:
        if merged and merged[-1][2] == schema:
            merged[-1] = (merged[-1][0], until, schema)
        else:
            merged.append((since, until, schema))
    return merged
