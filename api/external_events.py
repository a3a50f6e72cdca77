"""What other services tell of servers: a port is plugged, a volume has grown."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import Answer, operation
from kilonova.api.params import obj
from kilonova.api.policies import SERVICE_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.common.objects.operation import ExternalEvent

_NETWORK = [
    'network-changed',
    'network-vif-plugged',
    'network-vif-unplugged',
    'network-vif-deleted',
]
# Names that each of these versions adds.
_ADDED = {
    '2.51': 'volume-extended',
    '2.76': 'power-update',
    '2.82': 'accelerator-request-bound',
    '2.93': 'volume-reimaged',
}
# Events that say nothing without the thing that they are about.
_NEED_TAG = ('volume-extended', 'volume-reimaged')


def _create(names: list[str]) -> Schema:
    event = obj(
        {
            'name': {'type': 'string', 'enum': names},
            'status': {'type': 'string', 'enum': ['failed', 'completed', 'in-progress']},
            'tag': {'type': 'string', 'maxLength': 255},
            'server_uuid': params.UUID,
        },
        ['name', 'server_uuid'],
    )
    return obj({'events': params.array(event, minItems=1)}, ['events'])


def _by_version() -> ByVersion:
    names = list(_NETWORK)
    ranges = ByVersion({'2.0': _create(names)})
    for since, name in _ADDED.items():
        names = [*names, name]
        ranges[since] = _create(names)
    return ranges


CREATE = _by_version()


@operation('POST', '/os-server-external-events', body=CREATE,
           rule='os_compute_api:os-server-external-events:create',
           check=SERVICE_OR_ADMIN)  # fmt: skip
def create(request: Request, body: dict[str, Any]) -> Answer:
    """Report external events."""
    asked = body['events']
    codes = dict.fromkeys(range(len(asked)), 400)
    sound = [at for at, one in enumerate(asked) if one['name'] not in _NEED_TAG or one.get('tag')]
    if sound:
        events = [_event(asked[at]) for at in sound]
        answered = request.conductor.external_events(request.context, events)
        codes.update(zip(sound, answered, strict=True))
    rendered = [
        {**one, 'status': one.get('status', 'completed'), 'code': codes[at]}
        for at, one in enumerate(asked)
    ]
    # Partly refused is 207; each event has its own code.
    return Answer({'events': rendered}, 200 if set(codes.values()) == {200} else 207)


def _event(asked: dict[str, Any]) -> ExternalEvent:
    return ExternalEvent(
        name=asked['name'],
        server_uuid=asked['server_uuid'],
        status=asked.get('status', 'completed'),
        tag=asked.get('tag'),
    )
