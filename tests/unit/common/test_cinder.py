import pytest

from kilonova.common import exception
from kilonova.common.clients import cinder, keystone
from kilonova.common.context import RequestContext
from kilonova.tests.fakes.cinder import FakeCinder
from kilonova.tests.unit.api.api import make_conf

SERVER = '11111111-2222-3333-4444-555555555555'
CONNECTOR = {'host': 'controller', 'mountpoint': '/dev/vdb'}


@pytest.fixture(scope='module')
def service():
    made = FakeCinder()
    yield made
    made.close()


@pytest.fixture
def fake(service):
    service.mend()
    for kind in (service.volumes, service.snapshots, service.attachments):
        kind.clear()
    return service


@pytest.fixture
def conf(fake):
    made = make_conf()
    made.set_override('endpoint_template', f'{fake.url}/v3', 'cinder')
    made.set_override('auth_type', 'none', 'cinder')
    yield made
    keystone.forget()


def as_user(conf, project='demo'):
    context = RequestContext(auth_token=f'someone:{project}', project_id=project, overwrite=False)
    return cinder.client(conf, context)


def test_an_attachment_takes_its_volume_through_its_states(fake, conf):
    volume, client = fake.add_volume(), cinder.client(conf)
    attachment = client.create_attachment(volume, SERVER)
    assert fake.status(volume) == 'reserved'
    info = client.update_attachment(attachment, CONNECTOR)
    assert info['data']['volume_id'] == volume and fake.status(volume) == 'attaching'
    client.complete_attachment(attachment)
    assert fake.status(volume) == 'in-use'
    assert client.show_attachment(attachment)['instance'] == SERVER
    assert [one['id'] for one in client.attachments_of(SERVER)] == [attachment]
    client.begin_detaching(volume)
    client.roll_detaching(volume)
    client.delete_attachment(attachment)
    assert fake.status(volume) == 'available'
    with pytest.raises(exception.VolumeAttachmentNotFound):
        client.delete_attachment(attachment)


def test_a_volume_that_is_taken_cannot_be_reserved(fake, conf):
    volume = fake.add_volume(status='error')
    with pytest.raises(exception.InvalidInput, match='status must be available'):
        cinder.client(conf).create_attachment(volume, SERVER)
    assert not fake.attachments


def test_volumes_come_and_go(fake, conf):
    client = as_user(conf)
    made = client.create_volume(3, name='one', volume_type='fast', snapshot_id=None)
    assert made['size'] == 3 and made['volume_type'] == 'fast' and made['name'] == 'one'
    assert [one['id'] for one in client.list_volumes()] == [made['id']]
    client.delete_volume(made['id'])
    with pytest.raises(exception.VolumeNotFound):
        client.show_volume(made['id'])


def test_a_project_does_not_see_another_ones(fake, conf):
    volume = fake.add_volume(project='other')
    snapshot = fake.add_snapshot(volume)
    client = as_user(conf)
    assert client.list_volumes() == [] and client.list_snapshots() == []
    for call in (client.show_volume, client.delete_volume, client.begin_detaching):
        with pytest.raises(exception.VolumeNotFound):
            call(volume)
    with pytest.raises(exception.SnapshotNotFound):
        client.show_snapshot(snapshot)
    with pytest.raises(exception.VolumeNotFound):
        client.create_attachment(volume, SERVER)
    assert cinder.client(conf).show_volume(volume)['id'] == volume


def test_what_is_no_id_is_not_asked_for(fake, conf):
    before = len(fake.requests)
    for text in ('', 'x', '../types', f'{SERVER}/action'):
        with pytest.raises(exception.VolumeNotFound):
            as_user(conf).show_volume(text)
    assert len(fake.requests) == before


def test_snapshots(fake, conf):
    client, volume = as_user(conf), fake.add_volume(status='in-use')
    with pytest.raises(exception.InvalidInput, match='must be available'):
        client.create_snapshot(volume, 'a', None, force=False)
    made = client.create_snapshot(volume, 'a', None, force=True)
    client.update_snapshot_status(made['id'], 'creating', '90%')
    assert client.show_snapshot(made['id'])['progress'] == '90%'
    client.delete_snapshot(made['id'])
    assert not fake.snapshots


def test_types_are_found_by_name_and_id(fake, conf):
    client = as_user(conf)
    found = client.volume_type('fast')
    assert client.volume_type(found['id']) == found
    with pytest.raises(exception.VolumeTypeNotFound):
        client.volume_type('slow')


def test_quota_and_failures_have_their_own_errors(fake, conf):
    client = as_user(conf)
    fake.quota = 0
    try:
        with pytest.raises(exception.Forbidden, match='Maximum number of volumes'):
            client.create_volume(1)
    finally:
        fake.quota = 1000
    fake.break_with(500)
    with pytest.raises(exception.FellowServiceError, match='volume'):
        client.list_volumes()


@pytest.mark.parametrize(
    'template, expected',
    [
        ('http://c/v3/%(project_id)s', 'http://c/v3/demo'),
        ('http://c/v3/%(tenant_id)s', 'http://c/v3/demo'),
        ('http://c/v3', 'http://c/v3'),
    ],
)
def test_the_url_is_that_of_the_users_project(conf, template, expected):
    conf.set_override('endpoint_template', template, 'cinder')
    assert as_user(conf)._adapter.endpoint_override == expected


def test_a_catalogs_url_of_our_project_becomes_the_users(conf):
    conf.set_override('endpoint_template', None, 'cinder')
    catalog = [
        {
            'type': 'volumev3',
            'name': 'cinder',
            'endpoints': [{'publicURL': 'http://c/v3/service', 'region': 'one'}],
        }
    ]
    context = RequestContext(
        auth_token='t', project_id='demo', service_catalog=catalog, overwrite=False
    )
    adapter = cinder.client(conf, context)._adapter
    assert adapter.endpoint_override == 'http://c/v3/demo'
