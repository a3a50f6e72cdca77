"""The API as one OpenAPI 3.1 document, made of what the operations declare.

What OpenAPI cannot say is in extensions: ``x-openstack-min-ver`` and ``x-openstack-max-ver``
are the microversions of an operation, a parameter or a schema, ``x-openstack-policy`` is the
rule that lets callers in, ``x-openstack-action`` the key of an action's body.
"""

import collections
import functools
import re
from typing import Any

import msgspec

from kilonova.api import operation, resources, versions
from kilonova.api.openapi import answers, bodies, parameters, ranges
from kilonova.api.operation import Operation
from kilonova.common import version

Json = dict[str, Any]
SERVER = '/v2.1'


def encoded(base: str = '') -> bytes:
    """Return the document as JSON; ``base`` is our URL as clients see it."""
    return msgspec.json.encode({**document(), 'servers': [{'url': base + SERVER}]})


@functools.cache
def document() -> Json:
    """Return the document, which nobody may change."""
    resources.load()
    return {
        'openapi': '3.1.0',
        'info': {
            'title': 'Compute API',
            'summary': 'Servers and what belongs to them.',
            'description': (__doc__ or '').partition('\n\n')[2].strip(),
            'version': str(versions.MAX),
            'x-openstack-release': version.VERSION,
        },
        'servers': [{'url': SERVER}],
        'security': [{'token': []}],
        'paths': {path: _item(path, found) for path, found in sorted(_by_path().items())},
        'components': {
            'securitySchemes': {
                'token': {'type': 'apiKey', 'in': 'header', 'name': 'X-Auth-Token'}
            },
            'parameters': {'microversion': parameters.MICROVERSION},
            'schemas': {'Fault': answers.FAULT},
            'responses': answers.components(),
        },
    }


def _by_path() -> dict[str, list[Operation]]:
    """Return the operations by path; where the names of its parts differ, the newest's count."""
    shaped: dict[str, list[Operation]] = collections.defaultdict(list)
    for one in operation.REGISTRY:
        if one.until >= versions.MIN:
            shaped[re.sub(r'{\w+}', '{}', one.path)].append(one)
    return {
        max(found, key=lambda one: one.until).path: sorted(found, key=lambda one: one.since)
        for found in shaped.values()
    }


def _item(path: str, operations: list[Operation]) -> Json:
    item: Json = {}
    given = parameters.of_path(path)
    if given:
        item['parameters'] = given
    for method in sorted({one.method for one in operations}):
        item[method.lower()] = _operation(
            path, method, [one for one in operations if one.method == method]
        )
    return item


def _operation(path: str, method: str, operations: list[Operation]) -> Json:
    newest = operations[-1]
    has_actions = any(one.action for one in operations)
    found: Json = {
        'operationId': _identifier(method, path),
        'summary': f'Act on {path}.' if has_actions else newest.summary,
        'tags': [path.split('/')[1]],
        'parameters': [parameters.MICROVERSION_REF, *parameters.of_query(operations)],
        'responses': answers.responses(operations),
        **ranges.span(operations[0].since, max(one.until for one in operations)),
    }
    if not has_actions and newest.rule is not None:
        found['x-openstack-policy'] = newest.rule
    if answers.is_gone(operations):
        found['deprecated'] = True
    body = bodies.request_body(operations)
    if body is not None:
        found['requestBody'] = body
    return found


def _identifier(method: str, path: str) -> str:
    """Return a name that no other operation has: ``get_servers_server_id``."""
    return '_'.join([method.lower(), *re.findall(r'\w+', path.replace('-', '_'))])
