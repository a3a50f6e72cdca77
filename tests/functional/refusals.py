"""Requests that have to be refused: how they are sent, and what a refusal looks like."""

import time
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.routes import CALLER, Route

# A request that takes longer than this hangs, whatever the machine has to do beside it.
SLOW = 8.0


def ask(cloud: Cloud, route: Route, path: str, **kwargs: Any) -> Answer:
    """Send a request; whatever comes of it, it is quick and no defect of ours."""
    started = time.monotonic()
    kwargs = {'token': CALLER, 'version': route.version, **kwargs}
    answer = cloud.call(route.one.method, path, **kwargs)
    assert time.monotonic() - started < SLOW, (route, path, kwargs)
    assert answer.status < 500, (str(route), path, str(kwargs)[:2000], answer.text[:1000])
    return answer


NAMES = {
    400: 'badRequest',
    401: 'unauthorized',
    403: 'forbidden',
    404: 'itemNotFound',
    405: 'badMethod',
    406: 'computeFault',
    409: 'conflictingRequest',
    413: 'overLimit',
    415: 'badMediaType',
}


def check_fault(answer: Answer, *statuses: int) -> str:
    """See that an answer is a fault as Nova makes them; returns the message."""
    assert answer.status in statuses, answer.text
    assert answer.headers['Content-Type'] == 'application/json; charset=UTF-8'
    assert answer.headers['x-openstack-request-id'].startswith('req-')
    assert answer.headers['x-compute-request-id'] == answer.headers['x-openstack-request-id']
    ((name, content),) = answer.json.items()
    assert (name, content['code']) == (NAMES[answer.status], answer.status)
    message = content['message']
    assert message and isinstance(message, str)
    assert 'Traceback' not in message and 'sqlite' not in message.lower()
    return str(message)


def each(found: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize('route', found, ids=str)
