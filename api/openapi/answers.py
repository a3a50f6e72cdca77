"""What a request may be answered with, as far as it is declared."""

import typing
from http import HTTPStatus
from typing import Any

from kilonova.api import faults
from kilonova.api.openapi import ranges
from kilonova.api.operation import Operation

Json = dict[str, Any]

FAULT: Json = {
    'type': 'object',
    'description': 'One key, the kind of the fault, with what went wrong.',
    'minProperties': 1,
    'maxProperties': 1,
    'additionalProperties': {
        'type': 'object',
        'properties': {
            'code': {'type': 'integer', 'minimum': 400, 'maximum': 599},
            'message': {'type': 'string'},
            'retryAfter': {'type': 'string'},
        },
        'required': ['code', 'message'],
        'additionalProperties': False,
    },
}


PARTLY = {('POST', '/os-server-external-events'): 207}
"""What succeeds for some of what was asked: the status beside that of success."""

FAULTS = 400
"""Statuses from here on are faults: what was removed says nothing else any more."""


def is_gone(operations: list[Operation]) -> bool:
    """Tell whether all that is left of operations is that they say so."""
    return all(one.success >= FAULTS for one in operations)


def components() -> Json:
    """Return the answers that operations refer to: a fault of each status."""
    return {_name(status): _fault(HTTPStatus(status).phrase) for status in sorted(faults.NAMES)} | {
        'Fault': _fault('The request was refused, or failed.')
    }


def _name(status: int) -> str:
    return f'Fault{status}'


def _fault(description: str) -> Json:
    schema = {'$ref': '#/components/schemas/Fault'}
    return {'description': description, 'content': {'application/json': {'schema': schema}}}


def responses(operations: list[Operation]) -> Json:
    """Return the ``responses`` of all that one method does at one path."""
    found: Json = {}
    for status in sorted({one.success for one in operations}):
        same = [one for one in operations if one.success == status]
        found[str(status)] = (
            _success(same) if status < FAULTS else _fault(HTTPStatus(status).phrase)
        )
    for one in operations:
        partly = PARTLY.get((one.method, one.path))
        if partly is not None:
            found[str(partly)] = _success(operations) | {'description': HTTPStatus(partly).phrase}
    for status in sorted(_refusals(operations)):
        found[str(status)] = {'$ref': f'#/components/responses/{_name(status)}'}
    found['default'] = {'$ref': '#/components/responses/Fault'}
    return found


def _success(operations: list[Operation]) -> Json:
    since, until = min(one.since for one in operations), max(one.until for one in operations)
    answer: Json = {
        'description': HTTPStatus(operations[-1].success).phrase,
        **ranges.span(since, until),
    }
    if any(_has_body(one) for one in operations):
        answer['content'] = {'application/json': {'schema': {'type': 'object'}}}
    return answer


def _has_body(one: Operation) -> bool:
    """Tell whether the handler says that it answers with something."""
    return typing.get_type_hints(one.handler).get('return') is not type(None)


def _refusals(operations: list[Operation]) -> set[int]:
    """Return the statuses that follow from what is declared; handlers have more."""
    found = {401, 404, *(status for one in operations for status in one.errors.values())}
    if any(one.body or one.query for one in operations):
        found.add(400)
    if any(one.rule for one in operations):
        found.add(403)
    return found & set(faults.NAMES)
