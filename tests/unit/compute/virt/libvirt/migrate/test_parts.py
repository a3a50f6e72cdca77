"""What moves are made of, without a hypervisor."""

import pathlib

import pytest
from lxml import etree
from oslo_config import cfg

from kilonova.common.objects.network import VIF
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.migrate import domain, pace, uri
from kilonova.compute.virt.libvirt.migrate.arrival import rebound
from kilonova.compute.virt.libvirt.migrate.shared import Mark
from kilonova.tests.unit.compute.virt.libvirt.conftest import UUID

DOMAIN = """
<domain><os><type>hvm</type><kernel>/a/u/kernel</kernel></os><devices>
<disk type='file'><source file='/a/u/disk'/><backingStore type='file'/><target dev='vda'/></disk>
<disk type='block'><source dev='/dev/old'/><target dev='vdb'/><serial>v1</serial></disk>
<interface type='bridge'><mac address='fa:16:3e:00:00:01'/><source bridge='old'/>
<target dev='tap1'/><address type='pci' slot='0x03'/></interface>
<graphics type='vnc' listen='10.0.0.1'><listen type='address' address='10.0.0.1'/></graphics>
<serial type='tcp'><source mode='bind' host='0.0.0.0' service='10000'/></serial>
<console type='tcp'><source mode='bind' host='0.0.0.0' service='10000'/></console>
</devices></domain>
"""
CHANGES = {
    'directory': '/b/u',
    'graphics': {'vnc': '10.0.0.2'},
    'serial_ports': [10007],
    'interfaces': {
        'fa:16:3e:00:00:01': "<interface type='ethernet'><mac address='fa:16:3e:00:00:01'/>"
        "<target dev='tap2' managed='no'/></interface>"
    },
    'volume_disks': {'v1': "<disk type='block'><source dev='/dev/new'/><serial>v1</serial></disk>"},
}


def test_the_domain_of_the_destination() -> None:
    found = etree.fromstring(domain.adapted(DOMAIN, CHANGES, '/a/u'))

    def value(path: str, name: str) -> str | None:
        node = found.find(path)
        return None if node is None else node.get(name)

    assert found.findtext('os/kernel') == '/b/u/kernel'
    assert [n.get('file') or n.get('dev') for n in found.findall('devices/disk/source')] == [
        '/b/u/disk',
        '/dev/new',
    ]
    assert found.find('devices/disk/backingStore') is None
    assert value('devices/interface', 'type') == 'ethernet'
    assert found.find('devices/interface/source') is None
    assert value('devices/interface/target', 'dev') == 'tap2'
    assert value('devices/interface/address', 'slot') == '0x03'  # the guest's view stays
    assert value('devices/graphics', 'listen') == '10.0.0.2'
    assert value('devices/graphics/listen', 'address') == '10.0.0.2'
    assert value('devices/serial/source', 'service') == '10007'
    assert value('devices/console/source', 'service') == '10007'


def test_downtime_grows_to_what_is_allowed() -> None:
    found = pace.steps(500, 10, 75.0)
    assert (found[0], found[-1]) == ((0.0, 50), (750.0, 500))
    assert [ms for _, ms in found] == sorted(ms for _, ms in found)


def test_when_it_has_taken_too_long(conf: cfg.ConfigOpts) -> None:
    conf.set_override('live_migration_timeout_action', 'force_complete', 'libvirt')
    plan = pace.Plan(conf.libvirt, 2.0)
    assert plan.timed_out(1600) is None
    assert plan.timed_out(1601) == 'force_complete'
    assert (plan.downtime(0), plan.downtime(10), plan.downtime(400)) == (50, None, 79)
    conf.set_override('live_migration_completion_timeout', 0, 'libvirt')
    assert pace.Plan(conf.libvirt, 2.0).timed_out(10**6) is None


@pytest.mark.parametrize(
    ('options', 'found'),
    [
        ({}, 'qemu+tcp://[2001:db8::1]/system'),
        ({'live_migration_scheme': 'tls'}, 'qemu+tls://[2001:db8::1]/system'),
        (
            {'live_migration_uri': 'qemu+ssh://nova@%s/system'},
            'qemu+ssh://nova@[2001:db8::1]/system',
        ),
    ],
)
def test_where_the_other_host_is(conf: cfg.ConfigOpts, options: dict[str, str], found: str) -> None:
    for name, value in options.items():
        conf.set_override(name, value, 'libvirt')
    assert uri.libvirt(conf, '2001:db8::1') == found
    assert uri.memory('2001:db8::1') == 'tcp://[2001:db8::1]'


def test_hosts_find_out_that_they_share(tmp_path: pathlib.Path) -> None:
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
    here, there = Mark(str(tmp_path / 'one'), 'a'), Mark(str(tmp_path / 'one'), 'b')
    elsewhere = Mark(str(tmp_path / 'two'), 'c')
    assert here.sees(there.write()) and there.sees(here.write())
    assert not elsewhere.sees(here.write())
    assert not here.sees(here.write() | {'word': 'of an earlier life'})


def test_whose_disks_they_are(tmp_path: pathlib.Path) -> None:
    dead, heir = Directories(str(tmp_path), 'dead'), Directories(str(tmp_path), 'heir')
    dead.create(UUID)
    assert heir.is_adoptable(UUID) and not dead.is_adoptable(UUID)
    heir.take_over(UUID)
    assert heir.is_adoptable(UUID)  # to who begins again
    dead.remove(UUID)
    assert heir.ours() == {UUID} and dead.ours() == set()
    heir.hand_over(UUID)
    assert dead.ours() == {UUID}
    heir.remove(UUID)
    assert dead.exists(UUID)
    third = Directories(str(tmp_path), 'third')
    third.take_over(UUID)
    heir.hand_over(UUID)  # too late: it has not been the heir's for long
    assert third.ours() == {UUID}


def test_what_is_kept_for_the_way_back(tmp_path: pathlib.Path) -> None:
    found = Directories(str(tmp_path), 'here')
    found.create(UUID)
    for _ in range(2):
        found.set_aside(UUID)
    assert (found.left(), found.ours()) == ({UUID}, set())
    found.bring_back(UUID)
    assert (found.left(), found.ours()) == (set(), {UUID})
    found.set_aside(UUID)
    Directories(str(tmp_path), 'other').drop_aside(UUID)
    assert found.left() == {UUID}
    for _ in range(2):
        found.drop_aside(UUID)
    assert list(tmp_path.iterdir()) == []


def test_a_port_is_plugged_as_neutron_has_bound_it(ovs_vif: VIF) -> None:
    assert rebound(ovs_vif, {}) is ovs_vif
    binding = {'vif_type': 'bridge', 'vif_details': {'bridge_name': 'brq1'}}
    found = rebound(ovs_vif, {'bindings': {ovs_vif.id: binding}})
    assert (found.type, found.bridge, found.address) == ('bridge', 'brq1', ovs_vif.address)
