"""The metadata tree: paths and keys of Nova's table, on HTTP and on config drives."""

import base64
import csv
import datetime
import json

import pytest

from kilonova.common.metadata import devices, ec2, tree, versions
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import Route
from kilonova.common.objects.numa import NumaNode, NumaTopology
from kilonova.common.objects.place import Place
from kilonova.common.objects.share import Share
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.fake_servers import make_server, make_vif

TODAY = datetime.date(2026, 1, 2)
USER_DATA = b'#!/bin/sh\n\xff'


class Given:
    """Vendor data of an operator who has a file alone."""

    static = {'site': 'x'}

    def of(self, server):
        return {'static': self.static}


def server(**changes):
    values = {
        'key_name': 'mykey',
        'key_public': 'ssh-ed25519 AAAA',
        'key_type': 'ssh',
        'user_data': base64.b64encode(USER_DATA).decode(),
        'metadata': {'role': 'web'},
        'image': Image(id='70a599e0-31e7-49b7-b260-868f441e862b'),
        'kernel_id': '11111111-31e7-49b7-b260-868f441e862b',
        'ramdisk_id': '22222222-31e7-49b7-b260-868f441e862b',
        'system_metadata': {'password_0': 'enc', 'password_1': 'rypted'},
    }
    return make_server(10, **(values | changes))


def make(**changes):
    return tree.Tree(server(**changes), tree.Options(vendor_data=Given()))


def get(path, made=None):
    found = (made or make()).lookup(path, TODAY)
    assert found is not None, path
    return found[1].decode('latin-1')


def document(path, made=None):
    return json.loads(get(path, made))


def rows(kind):
    path = reference.ROOT / 'metadata_routes.csv'
    if not path.exists():
        pytest.skip(f'{path.name} is not there')
    with path.open() as file:
        return [row for row in csv.DictReader(file) if row['tree'] == kind]


def test_ec2_paths_are_there_from_their_version_on():
    for row in rows('ec2'):
        for version in (*ec2.VERSIONS, ec2.LATEST):
            path = row['path'].replace('{version}', version).replace('{name}', 'root')
            expected = (
                version == ec2.LATEST
                or version >= row['since_version']
                or row['since_version'] == '1.0'
            )
            found = make().lookup(path)
            assert (found is not None) == expected, path
            if found is not None:
                assert found[0] == row['content_type']


def test_openstack_paths_are_there_from_their_version_on():
    for row in rows('openstack'):
        if row['method'] != 'GET' or 'content/' in row['path']:
            continue
        for version in versions.VERSIONS:
            found = make().lookup(row['path'].replace('{version}', version), TODAY)
            expected = version >= row['since_version'] or 'network_data' in row['path']
            assert (found is not None) == expected, (row['path'], version)
            if found is not None:
                assert found[0] == row['content_type']


def test_the_versions_are_novas():
    assert [r['path'] or r['since_version'] for r in rows('ec2 version')] == list(ec2.VERSIONS)
    found = [r['path'] or r['since_version'] for r in rows('openstack version')]
    assert found == list(versions.VERSIONS)


def test_meta_data_keys_come_with_their_version():
    keys = {r['path']: r['since_version'] for r in rows('meta_data.json key')}
    made = tree.Tree(server(), tree.Options(), personality=[('/a', 'aGk=')], admin_password='pw')
    for version in versions.VERSIONS:
        expected = {
            key for key, since in keys.items()
            if since <= version and '[' not in key and key != 'network_config'
        }  # fmt: skip
        assert set(document(f'openstack/{version}/meta_data.json', made)) == expected


@pytest.mark.parametrize(
    ('path', 'content'),
    [
        ('/', '\n'.join((*ec2.VERSIONS, 'latest'))),
        ('latest', 'meta-data/\nuser-data'),
        ('latest/meta-data/instance-id', 'i-0000000a'),
        ('latest/meta-data/ami-id', 'ami-70a599e0'),
        ('latest/meta-data/kernel-id', 'aki-11111111'),
        ('latest/meta-data/hostname', 'server-10.novalocal'),
        ('latest/meta-data/local-ipv4', '10.0.0.5'),
        ('latest/meta-data/public-ipv4', '172.24.4.9'),
        ('latest/meta-data/security-groups', 'default'),
        ('latest/meta-data/public-keys/', '0=mykey'),
        ('latest/meta-data/public-keys/0/', 'openssh-key'),
        ('latest/meta-data/public-keys/0/openssh-key', 'ssh-ed25519 AAAA'),
        ('latest/meta-data/placement', 'availability-zone'),
        ('latest/meta-data/placement/availability-zone', 'nova'),
        ('latest/meta-data/instance-type', 'm1.tiny'),
        ('latest/meta-data/block-device-mapping/root', '/dev/vda'),
        ('latest/user-data', USER_DATA.decode('latin-1')),
        ('openstack/latest/user_data', USER_DATA.decode('latin-1')),
        ('openstack/latest/password', 'encrypted'),
        ('openstack/2012-08-10', 'meta_data.json\nuser_data'),
        (
            'openstack/latest',
            'meta_data.json\nuser_data\npassword\nvendor_data.json\nnetwork_data.json\n'
            'vendor_data2.json',
        ),
        ('openstack/latest/vendor_data.json', '{"site":"x"}'),
        ('openstack/latest/vendor_data2.json', '{"static":{"site":"x"}}'),
    ],
)
def test_contents(path, content):
    assert get(path) == content


def test_versions_of_the_future_are_not_told():
    listed = make().lookup('openstack', datetime.date(2017, 1, 1))[1].decode().split('\n')
    assert listed == [*versions.VERSIONS[:6], 'latest']


@pytest.mark.parametrize(
    'path',
    [
        '2005-01-01',
        'latest/meta-data/missing',
        'latest/meta-data/hostname/more',
        'latest/meta-data/public-keys/0/_name',
        'openstack/1999-01-01',
        'openstack/latest/missing',
        'openstack/latest/meta_data.json/more',
        'openstack/content/0000',
        'openstack/content/x',
        'openstack/content',
    ],
)
def test_what_is_not_there(path):
    assert make().lookup(path, TODAY) is None


def test_without_key_user_data_and_addresses():
    made = make(key_name=None, user_data=None, network_info=[], metadata={})
    assert made.lookup('latest/user-data') is None
    assert made.lookup('openstack/latest/user_data') is None
    assert made.lookup('latest/meta-data/public-keys') is None
    assert get('latest', made) == 'meta-data/'
    assert not {'keys', 'public_keys', 'meta'} & set(
        document('openstack/latest/meta_data.json', made)
    )
    assert get('latest/meta-data/local-ipv4', made) == ''


def test_random_seed_is_random():
    first, second = (document('openstack/latest/meta_data.json')['random_seed'] for _ in range(2))
    assert len(base64.b64decode(first)) == 512 and first != second


def test_network_data():
    vif = make_vif()
    vif.subnets[1].routes = [Route(cidr='fd99::/16', gateway='fd00::9')]
    link = 'tap11111111-22'
    assert document('openstack/latest/network_data.json', make(network_info=[vif])) == {
        'links': [
            {
                'id': link,
                'vif_id': vif.id,
                'type': 'ovs',
                'mtu': 1450,
                'ethernet_mac_address': vif.address,
            }
        ],
        'networks': [
            {
                'id': 'network0',
                'type': 'ipv4_dhcp',
                'link': link,
                'network_id': vif.network_id,
            },
            {
                'id': 'network1',
                'type': 'ipv6',
                'link': link,
                'network_id': vif.network_id,
                'ip_address': 'fd00::5',
                'netmask': 'ffff:ffff:ffff:ffff::',
                'routes': [
                    {'network': '::', 'netmask': '::', 'gateway': 'fd00::1'},
                    {'network': 'fd99::', 'netmask': 'ffff::', 'gateway': 'fd00::9'},
                ],
                'services': [{'type': 'dns', 'address': 'fd00::2'}],
            },
        ],
        'services': [
            {'type': 'dns', 'address': '10.0.0.2'},
            {'type': 'dns', 'address': 'fd00::2'},
        ],
    }


def test_a_slaac_network_says_so():
    vif = make_vif(type='vrouter')
    vif.subnets[1].ipv6_address_mode = 'slaac'
    data = document('openstack/latest/network_data.json', make(network_info=[vif]))
    assert data['networks'][1]['type'] == 'ipv6_slaac'
    assert data['links'][0]['type'] == 'phy'


def test_tagged_interfaces_are_devices():
    made = make(network_info=[make_vif(tag='dmz'), make_vif()])
    (device,) = document('openstack/latest/meta_data.json', made)['devices']
    assert device['tags'] == ['dmz'] and device['mac'] == 'fa:16:3e:00:00:01'


def test_where_the_guest_has_its_devices():
    """The hypervisor's words are kept of what is told, and of nothing else."""
    nic, other = make_vif(tag='dmz', address='FA:16:3E:00:00:01'), make_vif()
    disk = BlockDevice(device_name='/dev/vdb', disk_bus='virtio', tag='database')
    places = {
        'fa:16:3e:00:00:01': Place(bus='pci', address='0000:00:03.0'),
        'vdb': Place(bus='pci', address='0000:00:06.0'),
    }
    devices.put(places, [nic, other], [disk])
    assert other.place is None
    made = make(network_info=[nic, other], block_devices=[disk])
    told = document('openstack/latest/meta_data.json', made)['devices']
    assert [(one['bus'], one['address']) for one in told] == [
        ('pci', '0000:00:03.0'),
        ('pci', '0000:00:06.0'),
    ]
    devices.put({}, [nic], [disk])
    told = document('openstack/latest/meta_data.json', made)['devices']
    assert [(one['bus'], one['address']) for one in told] == [('none', 'none'), ('pci', 'none')]


def test_tagged_disks_and_shares_are_devices():
    made = make(
        network_info=[make_vif(vnic_type='direct', details={'vlan': '7'}), make_vif()],
        block_devices=[
            BlockDevice(destination_type='local', boot_index=0, device_name='/dev/vda'),
            BlockDevice(
                destination_type='volume',
                volume_id='v1',
                device_name='/dev/sdb',
                disk_bus='scsi',
                tag='database',
            ),
        ],
        shares=[
            Share(uuid='1', share_id='s1', tag='home', status='active'),
            Share(uuid='2', share_id='s2', tag='new', status='attaching'),
        ],
    )
    nic, disk, share = document('openstack/latest/meta_data.json', made)['devices']
    assert (nic['vlan'], nic['tags']) == (7, [])
    assert disk == {
        'type': 'disk',
        'bus': 'scsi',
        'address': 'none',
        'path': '/dev/sdb',
        'serial': 'v1',
        'tags': ['database'],
    }
    assert share == {'type': 'share', 'share_id': 's1', 'tag': 'home'}
    old = document('openstack/2016-06-30/meta_data.json', made)['devices']
    assert [device['type'] for device in old] == ['nic', 'disk'] and 'vlan' not in old[0]


def test_dedicated_processors():
    nodes = [
        NumaNode(id=0, vcpus=[0, 1], memory_mb=1, cpu_pinning={0: 8}),
        NumaNode(id=1, vcpus=[2, 3], memory_mb=1, cpu_pinning={3: 9, 2: 10}),
    ]
    made = make(numa_topology=NumaTopology(nodes=nodes))
    assert document('openstack/latest/meta_data.json', made)['dedicated_cpus'] == [0, 2, 3]


def test_a_config_drive():
    made = tree.Tree(
        server(),
        tree.Options(skip_versions=ec2.VERSIONS[:-1]),
        personality=[('/etc/motd', base64.b64encode(b'hi').decode())],
        admin_password='secret',
    )
    files = made.files()
    assert {path.split('/')[1] for path in files if path.startswith('ec2/')} == {
        '2009-04-04',
        'latest',
    }
    assert files['ec2/latest/user-data'] == files['openstack/latest/user_data'] == USER_DATA
    assert files['openstack/content/0000'] == b'hi'
    assert json.loads(files['ec2/latest/meta-data.json'])['instance-id'] == 'i-0000000a'
    meta = json.loads(files['openstack/2012-08-10/meta_data.json'])
    assert meta['admin_pass'] == 'secret'
    assert meta['files'] == [{'content_path': '/content/0000', 'path': '/etc/motd'}]
    assert 'openstack/2012-08-10/network_data.json' not in files
    assert 'openstack/latest/network_data.json' in files
    assert not [path for path in files if path.endswith('password')]


def test_the_password_of_the_build_is_not_served_over_http():
    assert 'admin_pass' not in document('openstack/latest/meta_data.json')
