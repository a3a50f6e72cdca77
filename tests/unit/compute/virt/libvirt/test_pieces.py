"""Golden elements that no golden domain has; rewrite them with --regenerate."""

from typing import Any

import pytest

from kilonova.compute.virt.libvirt import accelerator
from kilonova.compute.virt.libvirt.xml.backup import Backup, BackupDisk
from kilonova.compute.virt.libvirt.xml.disk import Auth, Disk, Encryption, SourceHost
from kilonova.compute.virt.libvirt.xml.element import Element
from kilonova.compute.virt.libvirt.xml.secret import Secret
from kilonova.tests.fakes.libvirt import DATA

PIECES: dict[str, Element] = {
    'disk-iscsi': Disk(
        type='network',
        format='raw',
        cache='none',
        protocol='iscsi',
        name='iqn.2010-10.org.openstack:volume-1/1',
        hosts=[SourceHost(name='10.0.0.9', port='3260')],
        auth=Auth(
            username='u', secret_type='iscsi', secret_uuid='0a1b2c3d-0000-4000-8000-0000000000aa'
        ),
        encryption=Encryption(secret_uuid='0a1b2c3d-0000-4000-8000-0000000000bb'),
        initiator='iqn.1993-08.org.debian:01:host',
        target='vdb',
        bus='virtio',
        boot_order=1,
        shareable=True,
        serial='0a1b2c3d-0000-4000-8000-0000000000cc',
    ),
    'disk-block': Disk(type='block', format='raw', dev='/dev/vg/a', target='vda', bus='virtio'),
    'backup': Backup(
        disks=[
            BackupDisk(name='vda', path='/snapshots/x/image', format='qcow2'),
            BackupDisk(name='vdb', backup='no', type=None),
        ]
    ),
    'secret-vtpm': Secret(
        usage='vtpm',
        uuid='0a1b2c3d-0000-4000-8000-0000000000dd',
        vtpm_name='a-server',
        description='TPM',
    ),
    'secret-iscsi': Secret(usage='iscsi', iscsi_target='a-target'),
    'secret-ceph': Secret(usage='ceph', ceph_name='a-user'),
    'secret-volume': Secret(usage='volume', volume='/a-volume'),
    'domain-probe': accelerator._domain('probe', 'x86_64', '/instances/probe.img'),
}


@pytest.mark.parametrize('name', PIECES)
def test_golden(name: str, request: Any) -> None:
    text, golden = PIECES[name].to_xml(), DATA / f'{name}.xml'
    if request.config.getoption('regenerate', default=False):
        golden.write_text(text)
    assert text == golden.read_text()
