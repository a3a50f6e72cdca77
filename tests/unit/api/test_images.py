"""Images and their metadata, passed on from Glance."""

from typing import Any

import pytest

from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.api import ADMIN, MEMBER, Api
from kilonova.tests.unit.api.passed_on import Fellows, pages

OTHER = 'mallory:evil'
NOTHING = '0f7b9b8c-1111-4222-8333-944445555666'
SERVER = '11111111-2222-3333-4444-555555555555'


@pytest.fixture
def image(fellows: Fellows) -> str:
    return fellows.glance.add(
        'mine', owner='demo', visibility='private', kernel_id='nokernel', auto_disk_config='True'
    )


def _call(api: Api, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
    return api.call(method, path, body, **{'token': MEMBER, **kwargs})


def test_show(api: Api, fellows: Fellows, image: str) -> None:
    fellows.glance.images[image].update(
        instance_uuid=SERVER, min_ram=64, min_disk=2, mappings='[{"device": "vda"}]',
        block_device_mapping='no JSON',
    )  # fmt: skip
    shown = api.get(f'/images/{image}', token=MEMBER)['image']
    reference.check({'image': shown}, _response('GET', '/images/{id}'))
    base = 'http://localhost'
    assert shown == {
        'id': image,
        'name': 'mine',
        'status': 'ACTIVE',
        'progress': 100,
        'minRam': 64,
        'minDisk': 2,
        'created': '2026-01-01T00:00:00Z',
        'updated': '2026-01-01T00:00:00Z',
        'OS-EXT-IMG-SIZE:size': 512,
        'OS-DCF:diskConfig': 'AUTO',
        'metadata': {
            'kernel_id': 'nokernel',
            'auto_disk_config': 'True',
            'instance_uuid': SERVER,
            'mappings': [{'device': 'vda'}],
            'block_device_mapping': 'no JSON',
        },
        'server': {
            'id': SERVER,
            'links': [
                {'rel': 'self', 'href': f'{base}/v2.1/servers/{SERVER}'},
                {'rel': 'bookmark', 'href': f'{base}/servers/{SERVER}'},
            ],
        },
        'links': [
            {'rel': 'self', 'href': f'{base}/v2.1/images/{image}'},
            {'rel': 'bookmark', 'href': f'{base}/images/{image}'},
            {
                'rel': 'alternate',
                'type': 'application/vnd.openstack.image',
                'href': f'{fellows.glance.url}/images/{image}',
            },
        ],
    }


def _response(method: str, path: str, controller: str = 'images.ImagesController') -> Any:
    operation = reference.operations(controller)[method, path, None]
    return reference.schema_for(operation, 'response', '2.1')


@pytest.mark.parametrize(
    'theirs, ours, progress',
    [
        ('queued', 'SAVING', 25), ('saving', 'SAVING', 50), ('active', 'ACTIVE', 100),
        ('killed', 'ERROR', 0), ('deleted', 'DELETED', 0), ('pending_delete', 'DELETED', 0),
        ('deactivated', 'UNKNOWN', 0), ('importing', 'UNKNOWN', 0),
    ],
)  # fmt: skip
def test_statuses(
    api: Api, fellows: Fellows, image: str, theirs: str, ours: str, progress: int
) -> None:  # fmt: skip
    fellows.glance.images[image]['status'] = theirs
    shown = api.get(f'/images/{image}', token=MEMBER)['image']
    assert (shown['status'], shown['progress']) == (ours, progress)
    if ours != 'UNKNOWN':
        assert len(api.get(f'/images?status={ours.lower()}', token=MEMBER)['images']) == 1
        assert api.get('/images?status=nonsense', token=MEMBER)['images'] == []


def test_lists(api: Api, fellows: Fellows, image: str) -> None:
    public = fellows.glance.add('public')
    brief = api.get('/images', token=MEMBER)
    reference.check(brief, _response('GET', '/images'))
    assert [one['id'] for one in brief['images']] == [public, image]
    assert brief['images'][1].keys() == {'id', 'name', 'links'}
    detail = api.get('/images/detail', token=MEMBER)
    reference.check(detail, _response('GET', '/images/detail'))
    assert detail['images'][1] == api.get(f'/images/{image}', token=MEMBER)['image']
    assert [one['id'] for one in api.get('/images', token=OTHER)['images']] == [public]


@pytest.mark.parametrize(
    'query, found',
    [
        ('name=mine', True), ('name=other', False), ('minRam=0', True), ('minRam=5', False),
        ('minDisk=0', True), ('property-kernel_id=nokernel', True), ('property-kernel_id=x', False),
        ('changes-since=2020-01-01T00:00:00Z', True), ('type=snapshot', False),
        ('changes-since=2030-01-01T00:00:00Z', False), (f'server={SERVER}', False),
        ('no_such=1', True), ('page_size=1', True), ('offset=1', True),
        ('status=ACTIVE&status=SAVING', False),
    ],
)  # fmt: skip
def test_filters(
    api: Api, fellows: Fellows, image: str, query: str, found: bool
) -> None:  # fmt: skip
    shown = api.get(f'/images?{query}', token=MEMBER)['images']
    assert [one['id'] for one in shown] == ([image] if found else [])


def test_filter_by_server(api: Api, fellows: Fellows) -> None:
    snapshot = fellows.glance.add(instance_uuid=SERVER)
    fellows.glance.add()
    for server in (SERVER, f'http://api/v2.1/servers/{SERVER}'):
        shown = api.get(f'/images?server={server}', token=MEMBER)['images']
        assert [one['id'] for one in shown] == [snapshot]


@pytest.mark.parametrize('path', ['/images', '/images/detail'])
def test_pages(api: Api, fellows: Fellows, path: str) -> None:
    made = [fellows.glance.add() for _ in range(5)]
    fellows.glance.page_size = 1
    found = pages(api, f'{path}?limit=2&name=image', 'images', token=MEMBER)
    assert [[one['id'] for one in page] for page in found] == [
        [made[4], made[3]], [made[2], made[1]], [made[0]]
    ]  # fmt: skip


@pytest.mark.parametrize('query', ['limit=0', 'limit=x', 'limit=-1', 'offset=x', 'page_size='])
def test_bad_queries(api: Api, fellows: Fellows, query: str) -> None:
    name, message = _call(api, 'GET', f'/images?{query}').fault
    assert (name, query.partition('=')[0] in message) == ('badRequest', True)
    assert fellows.glance.requests == []


def test_unknown_marker(api: Api, fellows: Fellows) -> None:
    fault = _call(api, 'GET', f'/images?marker={NOTHING}').fault
    assert fault == (
        'badRequest', f'The image service refused the request: No image found with ID {NOTHING}'
    )  # fmt: skip


ALL = [
    ('GET', '', None), ('DELETE', '', None), ('GET', '/metadata', None),
    ('POST', '/metadata', {'metadata': {}}), ('PUT', '/metadata', {'metadata': {}}),
    ('GET', '/metadata/kernel_id', None), ('PUT', '/metadata/a', {'meta': {'a': 'b'}}),
    ('DELETE', '/metadata/kernel_id', None),
]  # fmt: skip


@pytest.mark.parametrize('method, path, body', ALL)
def test_what_is_not_there(
    api: Api, fellows: Fellows, image: str, method: str, path: str, body: Any
) -> None:  # fmt: skip
    before = dict(fellows.glance.images[image])
    for other in (NOTHING, 'x', '..%2Ftasks'):
        assert _call(api, method, f'/images/{other}{path}', body).status == 404
    assert _call(api, method, f'/images/{image}{path}', body, token=OTHER).status == 404
    assert fellows.glance.images[image] == before
    last = '2.38' if 'metadata' in path else '2.35'
    assert _call(api, method, f'/images/{image}{path}', body, version=last).status < 300
    beyond = '2.39' if 'metadata' in path else '2.36'
    assert _call(api, method, f'/images/{image}{path}', body, version=beyond).status == 404


@pytest.mark.parametrize('method, path, body', ALL)
@pytest.mark.parametrize('status, ours', [(500, 503), (503, 503), (302, 503), (418, 503)])
def test_glance_fails(
    api: Api, fellows: Fellows, image: str, method: str, path: str, body: Any,
    status: int, ours: int,
) -> None:  # fmt: skip
    fellows.glance.break_with(status)
    assert _call(api, method, f'/images/{image}{path}', body).status == ours
    assert _call(api, 'GET', '/images').status == ours


def test_not_ones_own(api: Api, fellows: Fellows) -> None:
    public = fellows.glance.add()
    before = dict(fellows.glance.images[public])
    for method, path, body in (
        ('DELETE', '', None),
        ('POST', '/metadata', {'metadata': {'a': 'b'}}),
        ('PUT', '/metadata/a', {'meta': {'a': 'b'}}),
    ):
        fault = _call(api, method, f'/images/{public}{path}', body).fault
        assert fault == ('forbidden', f'Not authorized for image {public}.')
    assert fellows.glance.images[public] == before
    fellows.glance.images[public]['protected'] = True
    assert _call(api, 'DELETE', f'/images/{public}', token=ADMIN).status == 403


def test_delete(api: Api, fellows: Fellows, image: str) -> None:
    answer = _call(api, 'DELETE', f'/images/{image}')
    assert (answer.status, answer.body) == (204, b'')
    assert fellows.glance.images == {}


def test_delete_of_one_in_use(api: Api, fellows: Fellows, image: str) -> None:
    fellows.glance.break_with(409, 'DELETE')
    assert 'in use' in _call(api, 'DELETE', f'/images/{image}').fault[1]


# -- metadata


def test_metadata_life(api: Api, fellows: Fellows, image: str) -> None:
    path = f'/images/{image}/metadata'
    old = {'kernel_id': 'nokernel', 'auto_disk_config': 'True'}
    assert api.get(path, token=MEMBER) == {'metadata': old}
    added = _call(api, 'POST', path, {'metadata': {'a/~b': 'c', 'kernel_id': 'k'}})
    assert added.status == 400  # no slashes in names
    added = _call(api, 'POST', path, {'metadata': {'a b': 'c', 'kernel_id': 'k'}})
    assert added.json == {'metadata': {**old, 'kernel_id': 'k', 'a b': 'c'}}
    replaced = _call(api, 'PUT', path, {'metadata': {'x': 'y'}})
    assert replaced.json == {'metadata': {'x': 'y'}}
    assert _call(api, 'PUT', f'{path}/z', {'meta': {'z': '1'}}).json == {'meta': {'z': '1'}}
    assert api.get(f'{path}/z', token=MEMBER) == {'meta': {'z': '1'}}
    assert _call(api, 'DELETE', f'{path}/z').status == 204
    assert _call(api, 'DELETE', f'{path}/z').fault == ('itemNotFound', 'Invalid metadata key')
    assert _call(api, 'GET', f'{path}/z').status == 404
    shown = api.get(f'/images/{image}', token=MEMBER)['image']
    assert shown['metadata'] == {'x': 'y'} and shown['name'] == 'mine'


def test_samples(api: Api, fellows: Fellows, image: str) -> None:
    samples = {name.rpartition('/')[2]: body for name, body in reference.samples('images')}
    path = f'/images/{image}/metadata'
    for method, suffix, name in (
        ('POST', '', 'image-metadata-post'),
        ('PUT', '', 'image-metadata-put'),
        ('PUT', '/auto_disk_config', 'image-meta-key-put'),
    ):
        answer = _call(api, method, path + suffix, samples[f'{name}-req.json'])
        assert answer.status == 200
        expected = samples[f'{name}-resp.json']
        assert answer.json.keys() == expected.keys()
        sent = next(iter(samples[f'{name}-req.json'].values()))
        assert sent.items() <= next(iter(answer.json.values())).items()


@pytest.mark.parametrize(
    'method, path, body, word',
    [
        ('POST', '', {'metadata': {'name': 'stolen'}}, 'name'),
        ('POST', '', {'metadata': {'owner': 'me', 'a': 'b'}}, 'owner'),
        ('PUT', '/status', {'meta': {'status': 'active'}}, 'status'),
        ('PUT', '/x', {'meta': {'y': '1'}}, 'Request body and URI mismatch'),
        ('PUT', '/x', {'meta': {'x': '1', 'y': '1'}}, 'meta'),
        ('PUT', '/x', {'meta': {}}, 'meta'),
        ('POST', '', {'metadata': {'x': 'y' * 256}}, 'x'),
        ('POST', '', {'metadata': {'x': 1}}, 'x'),
        ('POST', '', {}, 'metadata'),
    ],
)
def test_bad_metadata(
    api: Api, fellows: Fellows, image: str, method: str, path: str, body: Any,
    word: str,
) -> None:  # fmt: skip
    before = dict(fellows.glance.images[image])
    name, message = _call(api, method, f'/images/{image}/metadata{path}', body).fault
    assert name == 'badRequest' and word in message
    assert fellows.glance.images[image] == before


def test_quota(api: Api, fellows: Fellows, image: str) -> None:
    path = f'/images/{image}/metadata'
    api.conductor.limits['demo', None] = {'metadata_items': 3}
    assert _call(api, 'POST', path, {'metadata': {'a': '1'}}).status == 200
    for method, suffix, body in (
        ('POST', '', {'metadata': {'b': '1'}}),
        ('PUT', '/b', {'meta': {'b': '1'}}),
        ('PUT', '', {'metadata': dict.fromkeys('abcd', '1')}),
    ):
        fault = _call(api, method, path + suffix, body).fault
        assert fault == ('forbidden', 'Image metadata limit exceeded')
    assert _call(api, 'PUT', path, {'metadata': dict.fromkeys('xyz', '1')}).status == 200
    api.conductor.limits['demo', None] = {'metadata_items': -1}
    fellows.glance.break_with(413, 'PATCH')
    assert _call(api, 'POST', path, {'metadata': {'b': '1'}}).status == 403
