"""Hosts that have one instances_path: live migration, evacuation, the return of a dead host."""

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from kilonova.compute.virt.driver import GuestSpec, PowerState
from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.hosts import Host, make_server

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which('bindfs') is None, reason='bindfs not installed'),
]


@pytest.fixture(scope='module')
def pair(libvirt_folder: pathlib.Path) -> Iterator[tuple[Host, Host]]:
    with hosts.two(libvirt_folder, shared=True) as found:
        yield found


def test_there_by_migration_and_back_by_evacuation(
    pair: tuple[Host, Host], guest_image: pathlib.Path
) -> None:
    one, two = pair
    server = make_server()
    image = File(guest_image)
    one.driver.spawn(GuestSpec(server=server, vifs=[]), image, lambda start: start())
    one.ready(server)

    data = two.driver.check_live_destination(server, None, False)
    data = one.driver.check_live_source(server, data)
    assert data['shared'] and not data['block_migration']
    data = two.driver.receive_live(server, [], data)
    one.driver.migrate_live(server, two.name, data, lambda progress: None)
    two.driver.arrive_live(server, [], data)
    one.driver.clean_live(server, [], data)
    assert (two.instances / server.uuid / 'disk').exists()
    assert server.uuid not in one.driver.list_guests()

    # Host two dies with its guest; host one goes on with the disk that is there.
    two.daemon.virsh('destroy', server.uuid)
    spec = GuestSpec(server=server, vifs=[], adopt=True)
    for _ in range(2):  # the second time as after a crash
        one.driver.spawn(spec, image, lambda start: start())
    assert 'boot=2' in one.says(server, 'boot=2', hosts.READY)
    # It returns, and removes what it had, but not the disk.
    two.driver.destroy(server, [])
    assert two.domains() == []
    assert (one.instances / server.uuid / 'disk').exists()
    assert one.driver.get_power_state(server.uuid) == PowerState.RUNNING
    one.driver.destroy(server, [])
    assert not (one.instances / server.uuid).exists()
