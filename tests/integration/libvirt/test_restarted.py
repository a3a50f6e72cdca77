"""libvirtd is restarted, or goes away, in the middle of what nova-compute does with a guest."""

import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.libvirt.killing import Killing, standing
from kilonova.tests.integration.processes import wait_for

pytestmark = pytest.mark.integration

MOST = 40


@pytest.fixture(scope='module')
def killing(
    libvirt_folder: pathlib.Path,
    libvirtd: Libvirtd,
    mariadb: MariaDB,
    rabbitmq: RabbitMQ,
    guest_image: pathlib.Path,
) -> Iterator[Killing]:
    with standing(libvirt_folder / 'restarted', libvirtd, mariadb, rabbitmq, guest_image) as made:
        yield made


@pytest.fixture(scope='module')
def server(killing: Killing) -> str:
    return killing.booted()


def hold(killing: Killing, uuid: str, step: int, **action: Any) -> str | None:
    """Do something until that step; return what it is, None when there are fewer."""
    killing.orders.give(step, hold=True)
    killing.cloud.act(uuid, token='admin:admin', **action)
    deadline = time.monotonic() + 60
    while killing.orders.is_open:
        assert time.monotonic() < deadline, killing.orders.steps()
        if _at_rest(killing, uuid):
            time.sleep(1)  # the last step is after the report that ends it
            if killing.orders.is_open:
                killing.orders.cancel()
                return None
        time.sleep(0.1)
    return killing.orders.steps()[-1]


def _at_rest(killing: Killing, uuid: str) -> Any:
    server = killing.cloud.get(f'/servers/{uuid}', token='admin:admin')['server']
    return server if server['OS-EXT-STS:task_state'] is None else None


def is_of_libvirt(step: str) -> bool:
    return step.isalpha()


DEEDS: list[tuple[dict[str, Any], str, dict[str, Any] | None]] = [
    ({'reboot': {'type': 'HARD'}}, 'ACTIVE', None),
    ({'suspend': None}, 'SUSPENDED', {'resume': None}),
    ({'createImage': {'name': 'copy'}}, 'ACTIVE', None),
    ({'os-stop': None}, 'SHUTOFF', {'os-start': None}),
]


@pytest.mark.parametrize(('act', 'status', 'back'), DEEDS, ids=[next(iter(d[0])) for d in DEEDS])
def test_restarted_before_each_call(
    killing: Killing,
    libvirtd: Libvirtd,
    server: str,
    act: dict[str, Any],
    status: str,
    back: dict[str, Any] | None,
) -> None:
    """The next call goes to the new libvirtd; guests do not notice."""
    restarts = 0
    for step in range(1, MOST):
        name = hold(killing, server, step, **act)
        if name is not None:
            if is_of_libvirt(name):
                libvirtd.restart()
                restarts += 1
            killing.orders.release()
        killing.settled(server, status)
        killing.forget_copies()
        if back:
            killing.act(server, 'ACTIVE', **back)
        killing.check(server, 'running', 1)
        if name is None:
            assert restarts
            return
    raise AssertionError('it does not end')


def _until(killing: Killing, uuid: str, step: str, **action: Any) -> None:
    """Do something until a step of that name."""
    for number in range(1, MOST):
        name = hold(killing, uuid, number, **action)
        assert name is not None, f'there is no {step}'
        if name == step:
            return
        killing.orders.release()
        killing.settled(uuid, 'ACTIVE')


def test_away_until_a_reboot_has_failed(killing: Killing, libvirtd: Libvirtd, server: str) -> None:
    """It ends, says why, and can be done again when libvirtd is back."""
    _until(killing, server, 'createWithFlags', reboot={'type': 'HARD'})
    with libvirtd.away():
        killing.orders.release()
        found = wait_for('the reboot ends', lambda: _at_rest(killing, server), 90, 0.3)
        path = f'/servers/{server}/os-instance-actions'
        action = killing.cloud.get(path, token='admin:admin')['instanceActions'][0]
        assert (action['action'], action['message']) == ('reboot', 'Error')
        shown = killing.cloud.get(f'{path}/{action["request_id"]}', token='admin:admin')
        (event,) = shown['instanceAction']['events']
        assert event['result'] == 'Error' and 'libvirt' in event['details'], event
        assert found['status'] == 'ERROR' and 'libvirt' in found['fault']['message'], found
    killing.cloud.wait_computes()
    killing.act(server, 'ACTIVE', reboot={'type': 'HARD'})
    killing.check(server, 'running', 1)


def test_away_until_a_build_has_failed(killing: Killing, libvirtd: Libvirtd, server: str) -> None:
    """There is no other host; what was made is removed when libvirtd is back."""
    for step in range(1, MOST):
        killing.orders.give(step, hold=True)
        uuid = killing.boot()
        wait_for('the step', lambda: not killing.orders.is_open, 60)
        if killing.orders.steps()[-1] == 'defineXML':
            break
        killing.orders.release()
        killing.settled(uuid, 'ACTIVE')
        killing.cloud.delete(uuid)
    with libvirtd.away():
        killing.orders.release()
        wait_for(
            'the build ends',
            lambda: killing.cloud.get(f'/servers/{uuid}')['server']['status'] == 'ERROR',
            90,
            0.3,
        )
        fault = killing.cloud.get(f'/servers/{uuid}', token='admin:admin')['server']['fault']
        assert 'libvirt' in json_of(fault), fault
    killing.cloud.delete(uuid)
    killing.check(server, 'running', 1)


def json_of(fault: dict[str, Any]) -> str:
    return f'{fault["message"]} {fault.get("details", "")}'


def test_nothing_is_left(killing: Killing, server: str) -> None:
    killing.cloud.delete(server)
    killing.cloud.assert_clean()
