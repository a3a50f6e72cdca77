"""Every field of every body with values of every type and size: refused by name, or done in full."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional import mutate, routes, snapshot
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.refusals import ask, check_fault, each
from kilonova.tests.functional.routes import CALLER, Route, Things

CLOUD: dict[str, Any] = {}

# Any value does for these; what they do is the same with each.
_NO_FIELDS = ('os-start', 'os-stop', 'forceDelete')
CREATE = ('POST', '/servers', None)
# What /os-volumes_boot does is what /servers does.
FIELDS = [
    route
    for route in routes.WITH_BODY
    if route.one.action not in _NO_FIELDS and not route.one.path.startswith('/os-volumes_boot')
]


@each([route for route in FIELDS if route.key != CREATE])
@pytest.mark.parametrize('newest', [True, False], ids=['newest', 'oldest'])
def test_wrong_values(cloud: Cloud, things: Things, route: Route, newest: bool) -> None:
    """Every field of every body with values of every type and of every absurd size."""
    before = snapshot.settled(cloud)
    for what, answer in _with_wrong_values(cloud, things, route, newest):
        if answer.status < 400:
            _undo(cloud, things, answer)
            before = snapshot.settled(cloud)
        elif route.one.action == 'os-migrateLive' and not newest:
            # What the hosts find is the answer up to 2.33, of a request that was accepted.
            before = snapshot.settled(cloud)
        else:
            assert snapshot.changed(before, snapshot.take(cloud)) == {}, what


@pytest.mark.parametrize('newest', [True, False], ids=['newest', 'oldest'])
def test_wrong_values_of_new_servers(cloud: Cloud, things: Things, newest: bool) -> None:
    """The quota refuses what would be accepted; of these, one a field is made after all."""
    (route,) = (one for one in routes.WITH_BODY if one.key == CREATE)
    known = {one['id'] for one in cloud.get('/servers', token=CALLER)['servers']}
    _set_quota(cloud, 1)
    before = snapshot.settled(cloud)
    sound: dict[Any, Any] = {}
    for what, answer in _with_wrong_values(cloud, things, route, newest):
        assert answer.status >= 400
        if answer.status == 403 and 'Quota exceeded for' in answer.text:
            sound[what[0]] = what[2]
    assert snapshot.changed(before, snapshot.take(cloud)) == {}
    assert len(sound) > 10
    _set_quota(cloud, -1)
    version = route.version if newest else route.oldest
    for body in sound.values():
        ask(cloud, route, '/servers', body=body, version=version)
    snapshot.settled(cloud)
    for server in cloud.get('/servers', token=CALLER)['servers']:
        if server['id'] not in known:
            assert cloud.admin('DELETE', f'/servers/{server["id"]}').status == 204
    after = snapshot.settled(cloud)
    for name in ('allocations', 'ports'):
        assert after[name] == before[name]
    cloud.admin('DELETE', '/os-quota-sets/demo')


def _set_quota(cloud: Cloud, limit: int) -> None:
    quota = {'instances': limit, 'cores': limit, 'ram': -1, 'force': True}
    assert cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': quota}).status == 200


def _with_wrong_values(
    cloud: Cloud, things: Things, route: Route, newest: bool
) -> Iterator[tuple[Any, Answer]]:
    version = route.version if newest else route.oldest
    schema = route.body_schema(version)
    sample = mutate.fitting(schema, routes.bodies(things)[route.key])
    for path, value, body, wrong in mutate.mutations(schema, sample):
        answer = ask(cloud, route, route.path(things), body=body, version=version)
        if wrong or answer.status >= 400:
            message = check_fault(answer, 400, *(() if wrong else (403, 404, 409)))
        if wrong:
            names = [step for step in path if isinstance(step, str)]
            assert any(name in message for name in names), (path, value, message)
        yield (path, value, body), answer


def _undo(cloud: Cloud, things: Things, answer: Answer) -> None:
    """Remove what an accepted request has made."""
    made = answer.json if answer.text else {}
    if 'id' in made.get('server', {}) and made['server']['id'] != things.server:
        cloud.admin('DELETE', f'/servers/{made["server"]["id"]}')
        cloud.wait_gone(made['server']['id'])
    elif 'reservation_id' in made:
        path = f'/servers?reservation_id={made["reservation_id"]}&all_tenants=1'
        for one in cloud.get(path, token=CALLER)['servers']:
            cloud.admin('DELETE', f'/servers/{one["id"]}')
            cloud.wait_gone(one['id'])
    elif 'flavor' in made and made['flavor']['id'] != things.flavor:
        cloud.admin('DELETE', f'/flavors/{made["flavor"]["id"]}')
    elif 'keypair' in made:
        owner, name = made['keypair']['user_id'], made['keypair']['name']
        cloud.call('DELETE', f'/os-keypairs/{name}?user_id={owner}', token=CALLER)
    elif 'quota_set' in made:
        cloud.admin('DELETE', '/os-quota-sets/demo')


@pytest.mark.parametrize('depth', [100, 300, 500, 800, 950, 990, 999, 1000, 1010, 2000, 5000])
def test_depth_where_anything_goes(cloud: Cloud, things: Things, depth: int) -> None:
    """Scheduler hints may hold what they like; it is read, checked, sent and stored."""
    (route,) = (one for one in routes.WITH_BODY if one.key == CREATE)
    for opening, closing in ((b'[', b']'), (b'{"x":', b'}')):
        raw = (
            b'{"server": ' + json.dumps(routes.server_body(things)['server']).encode()
            + b', "os:scheduler_hints": {"mine": ' + opening * depth + b'1' + closing * depth + b'}}'
        )  # fmt: skip
        answer = ask(cloud, route, '/servers', raw=raw)
        assert answer.status in (202, 400)
        if answer.status == 202:
            shown = cloud.get(f'/servers/{answer.json["server"]["id"]}', version='2.104')
            assert shown['server']['status'] in ('BUILD', 'ACTIVE')
            _undo(cloud, things, answer)


def test_duplicate_keys_count_once(cloud: Cloud, things: Things) -> None:
    """The last one counts, as with Nova; what was checked is what is done."""
    path = f'/servers/{things.server}/metadata'
    raw = b'{"metadata": {"evil": "' + b'x' * 300 + b'"}, "metadata": {"known": "1"}}'
    answer = cloud.call('POST', path, raw=raw, token=CALLER)
    assert answer.status == 200
    assert answer.json['metadata']['known'] == '1'
    assert 'evil' not in answer.json['metadata']
