"""Interfaces that are attached and detached, with hosts and conductors that fail meanwhile."""

import contextlib
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.objects.network import VIF, NetworkRequest
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.tasks import waiting
from kilonova.tests.unit.conductor.test_crashes import arm, ask, finish
from kilonova.tests.unit.conductor.world import World

WANTED = NetworkRequest(network_id='n')


def vif(name: str) -> VIF:
    return VIF(id=name, address='fa:16:3e:00:00:02', network_id='n')


@pytest.fixture(autouse=True)
def pauses(world: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the world go on while a request waits."""
    found: list[float] = []

    def pause(seconds: float) -> None:
        found.append(seconds)
        world.run()

    monkeypatch.setattr(waiting, 'pause', pause)
    return found


@pytest.fixture
def uuid(world: World) -> str:
    booted = world.boot()
    answers = world.hosts['h1'].answers
    answers['AttachInterface'] = WorkResult(power_state=1, network_info=[vif('new')])
    answers['DetachInterface'] = WorkResult(power_state=1, network_info=[])
    return booted


def attach(world: World, uuid: str, request: NetworkRequest = WANTED) -> Any:
    return world.conductor.attach_interface(world.new_context(), uuid, request)


def detach(world: World, uuid: str, port: str = 'new') -> Any:
    return world.conductor.detach_interface(world.new_context(), uuid, port)


def ports(world: World, uuid: str) -> list[str]:
    return [one.id for one in world.server(uuid).network_info]


def test_attach_waits_and_detach_does_not(world: World, uuid: str, pauses: list[float]) -> None:
    assert attach(world, uuid).id == 'new'
    assert pauses == [waiting.FIRST_PAUSE]
    assert ports(world, uuid) == ['new']
    detach(world, uuid)
    assert ports(world, uuid) == ['new'] and world.open_operations()
    world.settle()
    assert ports(world, uuid) == []
    assert world.hosts['h1'].worked == ['AttachInterface', 'DetachInterface']
    world.check()


def test_a_second_change_waits_for_the_first(world: World, uuid: str, pauses: list[float]) -> None:
    attach(world, uuid)
    detach(world, uuid)
    pauses.clear()
    assert attach(world, uuid).id == 'new'
    assert len(pauses) == 2
    assert world.hosts['h1'].worked[-2:] == ['DetachInterface', 'AttachInterface']


def test_a_change_that_does_not_end_is_named(world: World, uuid: str) -> None:
    world.hosts['h1'].silent = True
    with pytest.raises(exception.ServiceUnavailable, match='not over after 60 seconds'):
        attach(world, uuid)
    with pytest.raises(exception.InstanceBusy, match=uuid):
        attach(world, uuid)
    world.hosts['h1'].silent = False
    world.settle()
    assert ports(world, uuid) == ['new']


@pytest.mark.parametrize(
    ('code', 'kind'),
    [(409, exception.Conflict), (403, exception.Forbidden), (501, exception.NotSupported),
     (404, exception.NotFound), (400, exception.Invalid), (503, exception.ServiceUnavailable),
     (500, exception.OperationFailed), (418, exception.OperationFailed)],
)  # fmt: skip
def test_what_the_host_failed_with(world: World, uuid: str, code: int, kind: Any) -> None:
    failure = WorkResult(error='no ' * 100, details='why', code=code)
    world.hosts['h1'].answers['AttachInterface'] = failure
    with pytest.raises(kind, match='no no') as caught:
        attach(world, uuid)
    assert type(caught.value) is kind
    server = world.server(uuid)
    assert (server.vm_state, server.task_state, server.operation) == ('active', None, None)
    assert ports(world, uuid) == []


def test_other_actions_go_on_beside_it(world: World, uuid: str, pauses: list[float]) -> None:
    attach(world, uuid)
    detach(world, uuid)
    pauses.clear()
    world.conductor.stop_server(world.new_context(), uuid)
    assert pauses == []
    world.settle()
    assert world.server(uuid).vm_state == 'stopped' and ports(world, uuid) == []
    world.check()


def test_a_deletion_does_not_wait(world: World, uuid: str, pauses: list[float]) -> None:
    attach(world, uuid)
    detach(world, uuid)
    pauses.clear()
    world.conductor.delete_server(world.new_context(), uuid)
    assert pauses == []
    world.settle()
    assert world.server(uuid).vm_state == 'deleted'
    world.check()


def test_what_came_meanwhile_stays(world: World, uuid: str) -> None:
    """A result adds to what is stored by then, and an older look at Neutron changes nothing."""
    old = world.server(uuid).network_info
    update = world.conductor.update_network_info
    update(world.new_context(), uuid, [vif('other')], old)
    attach(world, uuid)
    assert ports(world, uuid) == ['other', 'new']
    update(world.new_context(), uuid, [vif('other')], [vif('other')])
    assert ports(world, uuid) == ['other', 'new']
    update(world.new_context(), uuid, [vif('new')], world.server(uuid).network_info)
    assert ports(world, uuid) == ['new']


def test_refusals_change_nothing(world: World, uuid: str) -> None:
    attach(world, uuid)
    with pytest.raises(exception.PortInUse):
        attach(world, uuid, NetworkRequest(port_id='new'))
    with pytest.raises(exception.PortNotFound):
        detach(world, uuid, 'other')
    with pytest.raises(exception.InstanceNotFound):
        attach(world, 'nothing')
    world.conductor.suspend_server(world.new_context(), uuid)
    for change in (attach, detach):
        with pytest.raises(exception.InstanceInvalidState):
            change(world, uuid)
    world.settle()
    assert ports(world, uuid) == ['new']


def test_a_host_that_is_down(world: World, uuid: str) -> None:
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    with pytest.raises(exception.ServiceUnavailable, match='h1 is unavailable'):
        attach(world, uuid)


@pytest.mark.parametrize('step', range(1, 12))
def test_a_conductor_that_dies_over_it(world: World, uuid: str, step: int) -> None:
    arm(world, step)
    # No time passes while a request waits, so the operation is not taken over meanwhile.
    with contextlib.suppress(exception.ServiceUnavailable):
        ask(world, lambda: attach(world, uuid))
    finish(world)
    server = world.server(uuid)
    assert (server.vm_state, server.operation) == ('active', None)
    assert ports(world, uuid) in (['new'], [])
    assert (ports(world, uuid) == ['new']) == ('AttachInterface' in world.hosts['h1'].worked)


# -- addresses


@pytest.fixture
def changed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    port = {'id': 'p', 'network_id': 'n', 'fixed_ips': [
        {'subnet_id': 's', 'ip_address': '10.0.0.5'}, {'subnet_id': 's', 'ip_address': '10.0.0.6'}
    ]}  # fmt: skip
    found: list[Any] = []
    monkeypatch.setattr(world, 'ports_of', lambda uuid: [port])
    monkeypatch.setattr(world, 'update_port', lambda *args: found.append(args))
    return found


def test_one_more_address(world: World, uuid: str, changed: list[Any], monkeypatch: Any) -> None:
    world.conductor.add_fixed_ip(world.new_context(), uuid, 'n')
    ((port, changes),) = changed
    assert (port, changes['fixed_ips'][2:]) == ('p', [{'subnet_id': 's'}])
    assert world.events == [('h1', ['network-changed'])]
    with pytest.raises(exception.NetworkNotFoundForInstance):
        world.conductor.add_fixed_ip(world.new_context(), uuid, 'other')

    def refuse(port_id: str, changes: Any) -> None:
        changed.append(changes['fixed_ips'][-1])
        raise exception.NoMoreFixedIps(network_id='n')

    changed.clear()
    monkeypatch.setattr(world, 'update_port', refuse)
    with pytest.raises(exception.NoMoreFixedIps):
        world.conductor.add_fixed_ip(world.new_context(), uuid, 'n')
    assert changed == [{'subnet_id': 's'}, {'subnet_id': 'subnet of n'}]


def test_one_address_less(world: World, uuid: str, changed: list[Any]) -> None:
    with pytest.raises(exception.FixedIpNotFoundForInstance, match=r'10\.0\.0\.7'):
        world.conductor.remove_fixed_ip(world.new_context(), uuid, '10.0.0.7')
    assert (changed, world.events) == ([], [])
    world.conductor.remove_fixed_ip(world.new_context(), uuid, '10.0.0.5')
    assert [ip['ip_address'] for ip in changed[0][1]['fixed_ips']] == ['10.0.0.6']
    assert world.events == [('h1', ['network-changed'])]


def test_a_locked_server_keeps_its_addresses(
    world: World, uuid: str, changed: list[Any]
) -> None:  # fmt: skip
    world.conductor.lock_server(world.new_context(), uuid)
    context = world.new_context()
    for change in (
        lambda: world.conductor.add_fixed_ip(context, uuid, 'n'),
        lambda: world.conductor.remove_fixed_ip(context, uuid, '10.0.0.5'),
        lambda: world.conductor.inject_network_info(context, uuid),
        lambda: attach(world, uuid),
    ):
        with pytest.raises(exception.InstanceIsLocked):
            change()
    assert (changed, world.events) == ([], [])
