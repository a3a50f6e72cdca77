"""Each way to a volume, as it stands in a domain."""

import hashlib
import pathlib
from typing import Any

import pytest
from os_brick.remotefs import remotefs
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.guest import Guests
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.volume import brick
from kilonova.compute.virt.libvirt.volume.secrets import Secrets
from kilonova.compute.virt.libvirt.volume.volumes import Volumes, arranged, finder, place

VOLUME = '0f7b9b8c-1111-4222-8333-944445555666'


class Connector:
    """Stands for os-brick's."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def connect_volume(self, data: dict[str, Any]) -> dict[str, Any]:
        self.done.append('connect')
        return {'path': '/dev/disk/by-id/wwn-1'}

    def disconnect_volume(self, data: dict[str, Any], info: None, **how: bool) -> None:
        self.done.append('disconnect')


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch) -> Connector:
    found = Connector()
    monkeypatch.setattr(brick, 'connector', lambda conf, protocol, **options: found)
    monkeypatch.setattr(brick, 'initiator', lambda: 'iqn.2026-01.example:host')
    return found


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], bytes]:
    """The secrets that libvirt was given."""
    found: dict[tuple[str, str], bytes] = {}

    def keep(self: Secrets, usage: str, name: str, value: bytes) -> str:
        found[usage, name] = value
        return '11111111-2222-4333-8444-555555555555'

    monkeypatch.setattr(Secrets, 'keep', keep)
    monkeypatch.setattr(Secrets, 'forget', lambda self, usage, name: found.pop((usage, name)))
    return found


@pytest.fixture
def volumes(host: Host, connector: Connector, kept: Any) -> Volumes:
    return Volumes(host, Guests(host.connection))


def device(kind: str, **data: Any) -> BlockDevice:
    return BlockDevice(
        source_type='volume',
        destination_type='volume',
        volume_id=VOLUME,
        device_name='/dev/vdb',
        connection_info={'driver_volume_type': kind, **data},
    )


RBD = {
    'name': 'pool/volume-1',
    'hosts': ['10.0.0.1', '10.0.0.2'],
    'ports': ['6789', '6789'],
    'auth_enabled': True,
    'auth_username': 'cinder',
    'secret_uuid': 'aaaaaaaa-0000-4000-8000-000000000000',
    'discard': True,
}


def test_ceph(volumes: Volumes, server: Server) -> None:
    assert (
        volumes.connect(server, device('rbd', **RBD)).to_xml()
        == f"""\
<disk type="network" device="disk">
  <driver name="qemu" type="raw" cache="none" discard="unmap"/>
  <source protocol="rbd" name="pool/volume-1">
    <host name="10.0.0.1" port="6789"/>
    <host name="10.0.0.2" port="6789"/>
    <auth username="cinder">
      <secret type="ceph" uuid="aaaaaaaa-0000-4000-8000-000000000000"/>
    </auth>
  </source>
  <target dev="vdb" bus="virtio"/>
  <serial>{VOLUME}</serial>
</disk>
"""
    )


def test_fibre_channel(volumes: Volumes, server: Server, connector: Connector) -> None:
    wanted = device('fibre_channel', target_wwn=['1'], target_lun=1, access_mode='ro')
    wanted.multiattach = True
    assert (
        volumes.connect(server, wanted).to_xml()
        == f"""\
<disk type="block" device="disk">
  <driver name="qemu" type="raw" cache="none" io="native"/>
  <source dev="/dev/disk/by-id/wwn-1"/>
  <target dev="vdb" bus="virtio"/>
  <readonly/>
  <shareable/>
  <serial>{VOLUME}</serial>
</disk>
"""
    )
    volumes.disconnect(wanted)
    assert connector.done == ['connect', 'disconnect']


def test_a_file_on_a_share(
    conf: cfg.ConfigOpts,
    host: Host,
    kept: Any,
    server: Server,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By os-brick's own connector, for which the share is mounted already."""
    conf.set_override('nfs_mount_point_base', str(tmp_path), 'libvirt')
    client = remotefs.RemoteFsClient
    share = tmp_path / hashlib.md5(b'nas:/volumes', usedforsecurity=False).hexdigest()
    share.mkdir()
    (share / 'volume-1').write_bytes(b'')
    monkeypatch.setattr(client, '_check_nfs_options', lambda self: None)
    monkeypatch.setattr(client, '_read_mounts', lambda self: {str(share): 'nas:/volumes'})
    data = {'export': 'nas:/volumes', 'name': 'volume-1', 'options': None, 'format': 'raw'}
    volumes = Volumes(host, Guests(host.connection))
    disk = volumes.connect(server, device('nfs', **data))
    assert f'file="{share}/volume-1"' in disk.to_xml()


def test_iscsi_by_qemu_keeps_the_password_out_of_the_domain(
    conf: cfg.ConfigOpts, host: Host, server: Server, connector: Connector, kept: Any
) -> None:
    conf.set_override('iscsi_initiator', 'qemu', 'libvirt')
    volumes = Volumes(host, Guests(host.connection))
    wanted = device(
        'iscsi',
        target_portal='[2001:db8::1]:3260',
        target_iqn='iqn.example:t',
        target_lun=3,
        auth_username='u',
        auth_password='secret',
    )
    xml = volumes.connect(server, wanted).to_xml()
    assert 'secret' not in xml.replace('<secret', '').replace('</secret', '')
    assert '<source protocol="iscsi" name="iqn.example:t/3">' in xml
    assert '<host name="2001:db8::1" port="3260"/>' in xml
    assert '<iqn name="iqn.2026-01.example:host"/>' in xml
    assert kept == {('iscsi', 'iqn.example:t/3'): b'secret'}
    volumes.disconnect(wanted)
    assert kept == {}


def test_what_cannot_be_reached_is_let_go_of(
    volumes: Volumes, server: Server, connector: Connector, tmp_path: pathlib.Path
) -> None:
    missing = device('local', device_path=str(tmp_path / 'missing'))
    server.block_devices = [device('iscsi', target_iqn='t'), missing]
    with pytest.raises(exception.VirtDriverError, match='missing'):
        volumes.connect_all(server)
    assert connector.done == ['connect', 'disconnect']


@pytest.mark.parametrize(
    ('encryption', 'reason'),
    [
        ({'provider': 'plain', 'encryption_key_id': 'x'}, 'plain'),
        (
            {'provider': 'luks', 'encryption_key_id': '00000000-0000-0000-0000-000000000000'},
            'fixed_key',
        ),
    ],
)
def test_keys_that_cannot_be_had(
    volumes: Volumes, server: Server, connector: Connector, encryption: Any, reason: str
) -> None:
    wanted = device('iscsi', target_iqn='t', encryption=encryption)
    with pytest.raises(exception.VirtDriverError, match=reason):
        volumes.connect(server, wanted)
    assert connector.done == ['connect', 'disconnect']


def test_the_bus_goes_with_the_recorded_name(server: Server) -> None:
    wanted = device('nbd')
    assert place(server, wanted) == ('vdb', 'virtio')
    wanted.device_name = '/dev/sdc'
    assert place(server, wanted) == ('sdc', 'scsi')
    server.image.properties = {'hw_disk_bus': 'sata'}
    assert place(server, wanted) == ('sdc', 'sata')


def test_a_disk_is_found_by_serial_or_by_a_name_that_is_nobody_elses(server: Server) -> None:
    from lxml import etree

    mine, other = device('nbd'), device('nbd')
    other.volume_id, other.device_name = 'other', '/dev/vdc'
    server.block_devices = [mine, other]
    domain = etree.fromstring(
        '<domain><devices>'
        "<disk><target dev='vdb'/><serial>other</serial></disk>"
        "<disk><target dev='vda'/></disk>"
        '</devices></domain>'
    )
    assert finder(server, mine)(domain) is None
    found = finder(server, other)(domain)
    assert found is not None and found.findtext('serial') == 'other'
    server.block_devices = [mine]
    assert finder(server, mine)(domain) is not None  # as after an exchange


def test_the_disk_to_boot_from_is_the_first(volumes: Volumes, server: Server) -> None:
    root, data = device('nbd', host='h'), device('nbd', host='h')
    root.boot_index, root.device_name, data.volume_id = 0, '/dev/vda', 'data'
    server.block_devices = [data, root]
    disks = volumes.connect_all(server)
    assert [one.serial for one in arranged(server, [], disks)] == [VOLUME, 'data']  # type: ignore[attr-defined]
