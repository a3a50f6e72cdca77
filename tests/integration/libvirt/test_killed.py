"""nova-compute is killed at each step of what it does with real guests, and started again.

What was asked for is done all the same, once, and nothing else is left of the first attempt.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.libvirt.killing import Killing, standing
from kilonova.tests.integration.processes import wait_for

pytestmark = pytest.mark.integration

MOST = 60


@pytest.fixture(scope='module')
def killing(
    libvirt_folder: pathlib.Path,
    libvirtd: Libvirtd,
    mariadb: MariaDB,
    rabbitmq: RabbitMQ,
    guest_image: pathlib.Path,
) -> Iterator[Killing]:
    with standing(libvirt_folder / 'killed', libvirtd, mariadb, rabbitmq, guest_image) as made:
        yield made


@dataclasses.dataclass
class Deed:
    """What is done to a server, and what must be true when it has been done.

    ``back`` undoes it, from the status that it leads to.
    """

    name: str
    act: dict[str, Any]
    status: str
    back: dict[str, Any] | None = None
    state: str = 'running'
    disks: int = 1


DEEDS = [
    Deed('stop', {'os-stop': None}, 'SHUTOFF', {'os-start': None}, 'shut off'),
    Deed('reboot', {'reboot': {'type': 'HARD'}}, 'ACTIVE'),
    Deed('suspend', {'suspend': None}, 'SUSPENDED', {'resume': None}, 'shut off'),
    Deed('rescue', {'rescue': {}}, 'RESCUE', {'unrescue': None}, disks=2),
    Deed('snapshot', {'createImage': {'name': 'copy'}}, 'ACTIVE'),
    Deed('rebuild', {'rebuild': {'imageRef': 'IMAGE'}}, 'ACTIVE'),
    Deed('resize', {'resize': {'flavorRef': 'FLAVOR'}}, 'VERIFY_RESIZE', {'revertResize': None}),
    Deed('shelve', {'shelve': None}, 'SHELVED_OFFLOADED', {'unshelve': None}, '', 0),
]


@pytest.fixture(scope='module')
def server(killing: Killing) -> str:
    return killing.booted()


@pytest.mark.parametrize('deed', DEEDS, ids=[deed.name for deed in DEEDS])
def test_something_is_done_and_undone(killing: Killing, server: str, deed: Deed) -> None:
    """Both ways end well, whatever the step that the process dies at."""
    words = {'IMAGE': killing.image, 'FLAVOR': killing.flavors[1]}
    act = json.loads(json.dumps(deed.act), object_hook=lambda found: _filled(found, words))
    for step in range(1, MOST):
        died = killing.strike(server, step, deed.status, **act)
        killing.check(server, deed.state, deed.disks)
        assert killing.forget_copies() == (deed.name == 'snapshot')
        if deed.back:
            died |= killing.strike(server, step, 'ACTIVE', **deed.back)
            killing.check(server, 'running', 1)
        if not died:
            assert step > 3
            return
    raise AssertionError('it does not end')


def _filled(found: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
    return {name: words.get(str(value), value) for name, value in found.items()}


def test_boot_and_delete(killing: Killing) -> None:
    for step in range(1, MOST):
        killing.orders.give(step)
        uuid = killing.boot()
        died = killing.survived(uuid, 'ACTIVE')
        killing.check(uuid, 'running', 1)
        killing.orders.give(step)
        assert killing.cloud.call('DELETE', f'/servers/{uuid}').status_code == 204
        died |= killing.survived(uuid)
        wait_for('the host is clean', lambda uuid=uuid: uuid not in killing.host.left(), 60, 0.5)  # type: ignore[misc]
        assert killing.cloud.allocations(uuid) == {}
        if not died:
            assert step > 5
            return
    raise AssertionError('it does not end')


def test_nothing_is_left(killing: Killing, server: str) -> None:
    killing.cloud.delete(server)
    killing.cloud.assert_clean()
    assert [one['name'] for one in killing.cloud.glance.images.values()] == ['lab']
