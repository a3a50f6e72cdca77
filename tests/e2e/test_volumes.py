"""Volumes of a real Cinder in real guests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.e2e.client import NEEDS_DEMO, ROOT, create, delete, log, openstack, ready
from kilonova.tests.integration.processes import wait_for

pytestmark = [pytest.mark.e2e, NEEDS_DEMO]
SERVER, OTHER, BOOTED = 'volumes-one', 'volumes-two', 'volumes-booted'
GIB = 1024**3


def show(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(openstack(*kind.split(), 'show', '-f', 'json', name))
    return found


def settled(name: str, status: str) -> dict[str, Any]:
    """Wait until a volume is in a state."""
    wait_for(f'{name} is {status}', lambda: show('volume', name)['status'] == status, 120, 1)
    return show('volume', name)


def says(server: str, text: str, times: int = 1) -> None:
    wait_for(f'{server} says {text}', lambda: log(server).count(text) >= times, 120, 1)


@pytest.fixture(scope='module', autouse=True)
def needs_cinder(demo_cloud: None) -> None:
    choices = json.loads((ROOT / 'state/choices.json').read_text())
    if 'cinder' not in choices['services']:
        pytest.skip('the cloud has no Cinder')


@pytest.fixture(scope='module')
def server() -> Iterator[str]:
    create(SERVER)
    ready(SERVER)
    yield SERVER
    delete(SERVER)


@pytest.fixture
def volume() -> Iterator[str]:
    openstack('volume', 'create', '--size', '1', 'data')
    settled('data', 'available')
    yield 'data'
    openstack('volume', 'delete', 'data')
    wait_for('no volume is left', lambda: 'data' not in openstack('volume', 'list'), 120, 1)


def test_attached_and_detached(server: str, volume: str) -> None:
    openstack('server', 'add', 'volume', server, volume)
    found = settled(volume, 'in-use')
    says(server, f'block=vdb bytes={GIB}')
    assert [one['device'] for one in found['attachments']] == ['/dev/vdb']
    openstack('server', 'reboot', '--hard', '--wait', server)
    ready(server, times=2)
    says(server, f'block=vdb bytes={GIB}', times=2)
    openstack('server', 'remove', 'volume', server, volume)
    assert settled(volume, 'available')['attachments'] == []
    assert show('server', server)['volumes_attached'] in ([], '')


def test_a_snapshot_of_a_volume_in_use(server: str, volume: str) -> None:
    """Cinder asks for it by os-assisted-volume-snapshots, and takes it back the same way."""
    openstack('server', 'add', 'volume', server, volume)
    settled(volume, 'in-use')
    api = ('--os-volume-api-version', '3.66')  # by which volumes in use need no "force"
    openstack(*api, 'volume', 'snapshot', 'create', '--volume', volume, 'shot')
    shown = lambda: show('volume snapshot', 'shot')['status']  # noqa: E731
    wait_for('the snapshot', lambda: shown() == 'available', 120, 1)
    openstack('volume', 'snapshot', 'delete', 'shot')
    gone = lambda: 'shot' not in openstack('volume', 'snapshot', 'list')  # noqa: E731
    wait_for('the snapshot is gone', gone, 120, 1)
    openstack('server', 'remove', 'volume', server, volume)
    settled(volume, 'available')


def test_booted_from_a_volume_that_ends_with_its_server() -> None:
    openstack(
        'server', 'create', '--flavor', 'm1.micro', '--network', 'private', '--image', 'kilonova-guest',
        '--boot-from-volume', '1', '--wait', BOOTED,
    )  # fmt: skip
    ready(BOOTED)
    [root] = json.loads(openstack('volume', 'list', '-f', 'json'))
    assert root['Status'] == 'in-use'
    openstack('server', 'stop', BOOTED)
    wait_for('it is off', lambda: show('server', BOOTED)['status'] == 'SHUTOFF', 120, 1)
    openstack('server', 'start', BOOTED)
    ready(BOOTED, times=2)
    delete(BOOTED)
    if json.loads(openstack('volume', 'list', '-f', 'json')):
        openstack('volume', 'delete', root['ID'])
