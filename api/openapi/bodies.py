"""Request bodies: by microversion, and by action where a path has actions."""

from collections.abc import Iterable
from typing import Any

from kilonova.api.openapi import answers, ranges
from kilonova.api.operation import Operation
from kilonova.api.versions import Version

Json = dict[str, Any]
ANYTHING: Json = {}


def request_body(operations: list[Operation]) -> Json | None:
    """Return the ``requestBody`` of all that one method does at one path."""
    actions = sorted({one.action for one in operations if one.action is not None})
    if actions:
        schema: Json = {'oneOf': [_of_action(action, operations) for action in actions]}
    else:
        parts = _parts(operations)
        if not parts:
            return None
        schema = ranges.any_of(parts)
    return {'required': True, 'content': {'application/json': {'schema': schema}}}


def _of_action(action: str, operations: list[Operation]) -> Json:
    mine = [one for one in operations if one.action == action]
    newest = mine[-1]
    schema = ranges.any_of(_parts(mine) or [(mine[0].since, newest.until, _only(action))])
    schema = {
        'title': action,
        'description': newest.summary,
        **schema,
        **ranges.span(mine[0].since, newest.until),
        'x-openstack-action': action,
    }
    if answers.is_gone(mine):
        schema['deprecated'] = True
    if newest.rule is not None:
        schema['x-openstack-policy'] = newest.rule
    return schema


def _only(action: str) -> Json:
    """Return the schema of an action that takes whatever there is below its name."""
    return {
        'type': 'object',
        'properties': {action: ANYTHING},
        'required': [action],
        'additionalProperties': False,
    }


def _parts(operations: Iterable[Operation]) -> list[tuple[Version, Version, Json]]:
    return [
        part
        for one in operations
        if one.body is not None
        for part in one.body.between(one.since, one.until)
    ]
