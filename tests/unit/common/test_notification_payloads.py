"""Notifications against Nova's published tables: events, priorities, objects, fields."""

import csv
import datetime
import types
import typing
from typing import Any

import msgspec
import pytest

from kilonova.common.notifications import events, hosts, images, requests, resources, servers
from kilonova.common.notifications.payload import Payload, envelope
from kilonova.tests.unit.api import reference

pytestmark = reference.needed

# What carries a payload, not one itself.
ENVELOPES = {'EventType', 'NotificationPublisher'}

OURS: dict[str, type[Payload]] = {
    name: one
    for module in (hosts, images, requests, resources, servers)
    for name, one in vars(module).items()
    if isinstance(one, type) and issubclass(one, Payload) and one is not Payload
}


def _fields() -> dict[tuple[str, str], dict[str, dict[str, str]]]:
    found: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in reference.table('notification_payload_fields.csv'):
        if not row['object'].endswith('Notification') and row['object'] not in ENVELOPES:
            found.setdefault((row['object'], row['version']), {})[row['field']] = row
    return found


FIELDS = _fields()


def test_every_object_is_declared() -> None:
    assert {name for name, _ in FIELDS} - set(OURS) == set()
    assert set(OURS) <= {name for name, _ in FIELDS}


@pytest.mark.parametrize('name', sorted(OURS))
def test_fields(name: str) -> None:
    published = FIELDS[name, OURS[name].VERSION]
    hints = typing.get_type_hints(OURS[name])
    assert set(OURS[name].__struct_fields__) == set(published)
    for field, row in published.items():
        kinds = _kinds(hints[field])
        # Nova itself declares what it leaves empty before a thing exists.
        if row['nullable'] == 'y':
            assert type(None) in kinds, field
        assert _kind(row['type']) in kinds, (field, row['type'], kinds)


def _kinds(hint: Any) -> set[Any]:
    parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return {typing.get_origin(part) or part for part in parts}


def _kind(text: str) -> Any:
    """Return the Python type of a published one."""
    if text.startswith('Object('):
        return OURS[text[7:-1]]
    for start, kind in (('ListOf', list), ('DictOf', dict), ('Integer', int), ('Float', float),
                        ('Boolean', bool), ('DateTime', datetime.datetime)):  # fmt: skip
        if text.startswith(start):
            return kind
    return int if text == 'IPVersion' else str


def _published() -> dict[str, dict[str, str]]:
    with reference.file('notifications.csv').open(newline='') as file:
        return {row['event_type']: row for row in csv.DictReader(file)}


def test_every_event_is_there() -> None:
    ours = {kind for event in events.EVENTS.values() for kind in event.types()}
    assert ours == set(_published())


@pytest.mark.parametrize('event', events.EVENTS.values(), ids=lambda event: str(event.name))
def test_events(event: events.Event) -> None:
    published = _published()
    for phase in event.phases or (None,):
        row = published[f'{event.name}.{phase}' if phase else event.name]
        # Exceptions are said by who meets them; the published example is the API's.
        if event.name != 'compute.exception':
            assert row['publisher'] == event.source
        assert row['priority'] == events.priority(event, phase).upper()
        assert row['payload_object'] == event.payload.__name__
        assert row['payload_version'] == event.payload.VERSION


def test_envelope() -> None:
    inner = resources.KeypairPayload(
        user_id='u', name='n', fingerprint=None, public_key=None, type='ssh'
    )
    assert envelope([inner]) == [
        {
            'nova_object.name': 'KeypairPayload',
            'nova_object.namespace': 'nova',
            'nova_object.version': '1.0',
            'nova_object.data': {
                'user_id': 'u', 'name': 'n', 'fingerprint': None, 'public_key': None,
                'type': 'ssh',
            },
        }
    ]  # fmt: skip
    assert msgspec.json.encode(envelope(inner))
