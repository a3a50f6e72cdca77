"""POST /servers, from the body to what the conductor is asked for."""

import base64

import pytest

from kilonova.api.servers import create_schema
from kilonova.common import exception
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.creating import UUID
from kilonova.tests.unit.api.frontdoor import Door


def test_the_answer_has_id_password_and_location(cloud):
    response = cloud.door.request('POST', '/servers', cloud.body(adminPass='secret'))
    assert response.status_int == 202
    server = response.json['server']
    assert server['adminPass'] == 'secret'
    assert server['OS-DCF:diskConfig'] == 'MANUAL'
    assert server['security_groups'] == [{'name': 'default'}]
    assert response.headers['Location'] == f'http://api.example.com/v2.1/servers/{server["id"]}'
    one = reference.operations('servers.ServersController')['POST', '/servers', None]
    reference.check(response.json, reference.schema_for(one, 'response', '2.37'))


def test_a_password_is_made_and_may_be_kept_back(cloud):
    first, second = cloud.create().admin_password, cloud.create().admin_password
    assert len(first) == 12 and first != second
    door = Door.open(cloud.conductor, ('api', 'enable_instance_password', False)).at('2.37')
    assert 'adminPass' not in door.ok('POST', '/servers', cloud.body(), 202)['server']


def test_no_networks_means_no_question_to_neutron_and_one_call(cloud):
    request = cloud.create()
    assert request.networks.mode == 'none'
    assert cloud.neutron.requests == []
    assert cloud.conductor.names() == ['create_servers']


def test_every_field_arrives(cloud):
    data = base64.b64encode(b'hello').decode()
    request = cloud.create(
        '2.100',
        name='  vm  '.strip(),
        description=' about ',
        key_name='key',
        user_data=data,
        config_drive='yes',
        metadata={'k': 'v'},
        tags=['a', 'b', 'a'],
        availability_zone='zone1',
        accessIPv4='1.2.3.4',
        accessIPv6='::1',
        hostname='host.example.com',
        trusted_image_certificates=['c1'],
        **{'OS-DCF:diskConfig': 'MANUAL'},
    )
    assert (request.name, request.description, request.hostname) == (
        'vm',
        'about',
        'host.example.com',
    )
    assert (request.key_name, request.user_data, request.config_drive) == ('key', data, True)
    assert request.metadata == {'k': 'v'} and request.tags == ['a', 'b']
    assert (request.availability_zone, request.forced_host) == ('zone1', None)
    assert (request.access_ip_v4, request.access_ip_v6) == ('1.2.3.4', '::1')
    assert request.trusted_image_certificates == ['c1'] and not request.auto_disk_config
    assert request.image.properties == {'hw_disk_bus': 'virtio'} and request.image.size == 1024
    device = request.block_devices[0]
    assert (device.boot_index, device.image_id, device.destination_type) == (0, UUID, 'local')


def test_an_ipv6_address_is_kept_in_its_short_spelling(cloud):
    asked = cloud.create(accessIPv6='0000:0000:0000:0000:0000:BABE:220.12.22.2')

    assert asked.access_ip_v6 == '::babe:dc0c:1602'


def test_before_2_19_the_name_describes(cloud):
    assert cloud.create('2.18', networks=...).description == 'vm'
    assert cloud.create('2.19', networks=...).description is None


def test_a_flavor_may_be_a_link_or_a_number(cloud):
    assert cloud.create(flavorRef='http://openstack.example.com/flavors/1').flavorid == '1'
    assert cloud.create(flavorRef=1).flavorid == '1'


def test_a_reservation_is_returned_when_asked_for(cloud):
    body = cloud.body(min_count=2, max_count='3', return_reservation_id='true')
    assert cloud.door.ok('POST', '/servers', body, 202) == {'reservation_id': 'r-abcdefgh'}
    assert (cloud.asked().min_count, cloud.asked().max_count) == (2, 3)


def test_hints_are_handed_on_by_both_names(cloud):
    for key in ('os:scheduler_hints', 'OS-SCH-HNT:scheduler_hints'):
        body = {**cloud.body(), key: {'different_host': UUID, 'mine': 1}}
        cloud.door.ok('POST', '/servers', body, 202)
        assert cloud.asked().scheduler_hints == {'different_host': UUID, 'mine': 1}


def test_personality_until_2_56(cloud):
    files = [{'path': '/etc/motd', 'contents': 'aGk='}]
    assert cloud.create('2.56', personality=files).personality == [('/etc/motd', 'aGk=')]
    cloud.conductor.calls.clear()
    assert cloud.refused('2.57', personality=files) == 400
    assert cloud.refused('2.56', personality=[{'path': '/etc/motd'}]) == 400


def test_operators_force_and_request_hosts(cloud):
    forced = cloud.create(user='admin', availability_zone='zone:host1:node1')
    assert (forced.availability_zone, forced.forced_host, forced.forced_node) == (
        'zone', 'host1', 'node1',
    )  # fmt: skip
    assert cloud.create(user='admin', availability_zone=':host1').availability_zone is None
    asked = cloud.create('2.74', user='admin', host='h', hypervisor_hostname='n')
    assert (asked.requested_host, asked.requested_hypervisor_hostname) == ('h', 'n')


def test_users_do_neither(cloud):
    assert cloud.refused(availability_zone='zone:host1') == 403
    assert cloud.refused('2.74', host='h') == 403
    assert cloud.refused('2.73', user='admin', host='h') == 400


def test_flavors_without_a_disk_are_for_operators(cloud):
    assert not cloud.create().zero_disk_allowed
    assert cloud.create(user='admin').zero_disk_allowed


# -- images and disks


@pytest.mark.parametrize(
    'of_image, automatic',
    [(None, False), ('True', True), ('yes', True), ('False', False), ('disabled', False)],
)
def test_an_image_says_who_partitions_the_disk(cloud, of_image, automatic):
    properties = {} if of_image is None else {'auto_disk_config': of_image}
    image = cloud.glance.add(**properties)
    assert cloud.create(imageRef=image).auto_disk_config is automatic
    assert not cloud.create(imageRef=image, **{'OS-DCF:diskConfig': 'MANUAL'}).auto_disk_config
    cloud.conductor.calls.clear()
    asked = {'imageRef': image, 'OS-DCF:diskConfig': 'AUTO'}
    if of_image == 'disabled':
        assert cloud.fault(**asked).endswith('has automatic disk resize disabled.')
    else:
        assert cloud.create(**asked).auto_disk_config


def test_images_that_cannot_be_booted(cloud):
    assert cloud.fault(imageRef=cloud.glance.add(status='queued')).endswith('is not active.')
    assert cloud.fault(imageRef='11111111-2222-3333-4444-555555555555') == (
        'Can not find requested image'
    )
    assert cloud.fault(imageRef='') == 'Missing imageRef attribute'
    assert cloud.fault(imageRef=...) == 'Invalid imageRef provided.'


ROOT = {'source_type': 'image', 'destination_type': 'local', 'boot_index': 0, 'uuid': UUID}


def test_the_root_disk_may_be_described(cloud):
    request = cloud.create(imageRef='', block_device_mapping_v2=[{**ROOT, 'disk_bus': 'scsi'}])
    assert request.image.id == UUID
    assert request.block_devices[0].disk_bus == 'scsi'


@pytest.mark.parametrize(
    ('devices', 'message'),
    [
        ([{'source_type': 'volume', 'boot_index': 0}], 'Missing device UUID.'),
        ([{**ROOT, 'boot_index': 1}], 'Mapping image to local is not supported.'),
        ([{**ROOT, 'boot_index': None}], 'Mapping image to local is not supported.'),
        ([{**ROOT, 'uuid': 'other'}], 'has to be that of imageRef'),
        ([{'source_type': 'blank', 'destination_type': 'local'}], 'Boot sequence'),
        (
            [ROOT, {'source_type': 'blank', 'destination_type': 'volume', 'device_name': 'vda'}],
            'same device name as the root device vda',
        ),
        (
            [{'source_type': 'volume', 'destination_type': 'local', 'uuid': UUID}],
            'Mapping volume to local is not supported.',
        ),
    ],
)
def test_bad_devices_are_refused_without_asking_cinder(cloud, devices, message):
    assert message in cloud.fault(block_device_mapping_v2=devices)


def test_a_device_that_is_not_wanted_is_left_out(cloud):
    devices = [ROOT, {'no_device': True, 'device_name': 'vdb', 'source_type': 'blank'}]
    request = cloud.create(block_device_mapping_v2=devices)
    assert [device.image_id for device in request.block_devices] == [UUID]


def test_an_image_names_its_local_disks(cloud):
    cloud.image = cloud.glance.add(
        mappings='[{"virtual": "ephemeral0", "device": "vdb"}, {"virtual": "swap", "device": "vdc"},'
        ' {"virtual": "root", "device": "/dev/vda"}]'
    )
    devices = [{**ROOT, 'uuid': cloud.image}]
    for more in ({}, {'block_device_mapping_v2': devices}):
        request = cloud.create(**more)
        assert [(d.source_type, d.device_name, d.guest_format) for d in request.block_devices] == [
            ('image', None, None),
            ('blank', '/dev/vdb', None),
            ('blank', '/dev/vdc', 'swap'),
        ]


# -- mistakes


@pytest.mark.parametrize(
    'values',
    [
        {'name': ''},
        {'name': 'x' * 256},
        {'name': 'a\0b'},
        {'name': ' padded '},
        {'name': 5},
        {'name': ...},
        {'flavorRef': ...},
        {'flavorRef': ''},
        {'flavorRef': '99'},
        {'flavorRef': []},
        {'imageRef': 'abc'},
        {'imageRef': 5},
        {'key_name': 'missing'},
        {'key_name': 'x' * 256},
        {'metadata': {'k': 5}},
        {'metadata': {'k': 'v' * 256}},
        {'metadata': {'': 'v'}},
        {'metadata': []},
        {'user_data': 'a'},
        {'user_data': 'aGk=' * 20000},
        {'config_drive': 'maybe'},
        {'min_count': 0},
        {'min_count': -1},
        {'min_count': 'x'},
        {'min_count': 2, 'max_count': 1},
        {'max_count': 2**64},
        {'max_count': str(2**64)},
        {'networks': ...},
        {'networks': 5},
        {'accessIPv4': '1.2.3'},
        {'accessIPv6': 'g::'},
        {'OS-DCF:diskConfig': 'maybe'},
        {'availability_zone': 'a:b:c:d'},
        {'availability_zone': 'x' * 256},
        {'security_groups': [{'name': ''}]},
        {'security_groups': 'default'},
        {'tags': ['a']},
        {'unknown': 1},
        {'block_device_mapping': [{'volume_id': 'x'}]},
        {'block_device_mapping': [{'device_name': 'vdb'}]},
        {'block_device_mapping_v2': [{'source_type': 'image', 'unknown': 1}]},
    ],
    ids=str,
)
def test_mistakes_are_a_400_and_nothing_is_made(cloud, values):
    response = cloud.door.request('POST', '/servers', cloud.body(**values))
    assert response.status_int == 400, response.text
    assert not cloud.conductor.servers


@pytest.mark.parametrize(
    'values',
    [
        {'tags': ['a' * 61]},
        {'tags': ['a,b']},
        {'tags': [str(n) for n in range(51)]},
        {'description': 'x' * 256},
        {'description': 'a\nb'},
        {'trusted_image_certificates': ['a', 'a']},
        {'trusted_image_certificates': []},
        {'hostname': 'under score'},
        {'hostname': 'ok', 'max_count': 2},
        {'host': 'a b'},
    ],
    ids=str,
)
def test_mistakes_of_newer_versions(cloud, values):
    assert cloud.refused('2.94', user='admin', **values) == 400


@pytest.mark.parametrize('raw', [b'', b'{', b'[]', b'"x"', b'{"server": 1}', b'{"x": {}}', b'\xff'])
def test_bodies_that_are_none(cloud, raw):
    assert cloud.door.refused('POST', '/servers', raw=raw) == 400


def test_quota_and_locks_of_the_conductor_keep_their_status(cloud, monkeypatch):
    def refuse(context, request):
        raise exception.QuotaExceeded(overs='instances', req=1, used=10, allowed=10)

    monkeypatch.setattr(cloud.conductor, 'create_servers', refuse)
    response = cloud.door.request('POST', '/servers', cloud.body())
    assert response.status_int == 403
    assert 'Quota exceeded for instances' in response.json['forbidden']['message']


def test_the_ranges_of_schemas_are_novas():
    one = reference.operations('servers.ServersController')['POST', '/servers', None]
    theirs = [(r['min_version'], r['max_version']) for r in one['request']]
    assert list(create_schema.RANGES) == theirs


def test_the_schemas_are_novas():
    """Compare with the published ones; only how printable text is spelled differs."""
    one = reference.operations('servers.ServersController')['POST', '/servers', None]
    for entry in one['request']:
        ours = create_schema.body(int(entry['min_version'].split('.')[1]))
        assert _plain(ours) == _plain(entry['schema']), entry['min_version']


def _plain(schema):
    if isinstance(schema, dict):
        kept = {k: _plain(v) for k, v in schema.items() if (k, v) != ('minLength', 0)}
        if kept.get('format') == 'printable' or len(str(kept.get('pattern', ''))) > 100:
            kept = {k: v for k, v in kept.items() if k not in ('format', 'pattern')}
        return kept
    if isinstance(schema, list):
        return sorted((_plain(item) for item in schema), key=str)
    return schema


def test_below_v2_names_are_stripped_and_unknown_keys_dropped(cloud):
    body = cloud.body(name=' padded ', user_data=None, unknown=1, networks=...)
    response = cloud.door.request('POST', '/servers', body, root='/v2')
    assert response.status_int == 202, response.text
    assert (cloud.asked().name, cloud.asked().user_data) == ('padded', None)
    assert 'OpenStack-API-Version' not in response.headers
