"""Ports that are bound and put into a guest that is there, and taken out of it."""

import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kilonova.common.objects import work
from kilonova.common.objects.network import NetworkRequest
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.compute.virt import driver
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server, networks

MakeHere = Callable[..., Here]


@pytest.fixture
def network(here: Here) -> str:
    return here.neutron.add_network()


@pytest.fixture
def server(here: Here, network: str) -> Server:
    return here.built(make_server(), networks(NetworkRequest(network_id=network)))


def do(here: Here, server: Server, wanted: Any, attempt: int = 1) -> Any:
    count = len(here.conductor.named('work_finished')) + 1
    here.work.perform(CONTEXT, server, Fence(str(uuid.uuid4()), attempt), wanted)
    result = here.conductor.wait_for('work_finished', count)['result']
    here.wait_idle()
    return result


def attach(here: Here, server: Server, attempt: int = 1, **asked: Any) -> Any:
    known = [vif.id for vif in server.network_info]
    wanted = work.AttachInterface(request=NetworkRequest(**asked), known=known)
    return do(here, server, wanted, attempt)


def plugged(here: Here, server: Server) -> list[str]:
    return here.driver._get(server.uuid).ports


def test_a_port_is_made(here: Here, server: Server, network: str) -> None:
    result = attach(here, server, network_id=network, tag='x', fixed_ip='10.1.0.99')
    (new,), (old,) = result.network_info, server.network_info
    assert (new.tag, new.preserve_on_delete) == ('x', False)
    port = here.neutron.ports[new.id]
    assert (port['binding:host_id'], port['device_owner']) == ('here', 'compute:nova')
    assert port['fixed_ips'][0]['ip_address'] == '10.1.0.99'
    assert plugged(here, server) == [old.id, new.id]
    after = msgspec.structs.replace(server, network_info=[old, new])
    assert do(here, after, work.DetachInterface(port_id=new.id)).error is None
    assert list(here.neutron.ports) == plugged(here, server) == [old.id]
    # It may be asked again.
    assert do(here, after, work.DetachInterface(port_id=new.id)).error is None


def test_a_given_port(here: Here, server: Server, network: str) -> None:
    here.neutron.caller.project = None
    given = here.neutron.make_port(network_id=network)
    result = attach(here, server, port_id=given['id'])
    assert result.network_info[0].preserve_on_delete
    after = msgspec.structs.replace(server, network_info=result.network_info)
    do(here, after, work.DetachInterface(port_id=given['id']))
    assert (given['device_id'], given['binding:host_id']) == ('', '')
    taken = here.neutron.make_port(network_id=network, device_id='another')
    result = attach(here, server, port_id=taken['id'])
    assert (result.code, taken['device_id']) == (409, 'another')
    missing = attach(here, server, port_id='0f7b9b8c-1111-4222-8333-944445555666')
    assert missing.code == 404


def test_a_second_attempt_finds_the_port_of_the_first(
    here: Here, server: Server, network: str
) -> None:
    first = attach(here, server, network_id=network).network_info[0]
    again = attach(here, server, attempt=2, network_id=network).network_info[0]
    assert again.id == first.id and len(here.neutron.ports) == 2
    other = attach(here, server, network_id=network).network_info[0]
    assert other.id != first.id and len(here.neutron.ports) == 3


@pytest.mark.parametrize('broken', ['POST /v2.0/ports', 'GET /v2.0/subnets', 'GET /v2.0/networks'])
def test_neutron_fails(here: Here, server: Server, network: str, broken: str) -> None:
    here.neutron.break_with(503, broken)
    result = attach(here, server, network_id=network)
    assert (result.code, result.network_info) == (503, None)
    assert list(here.neutron.ports) == plugged(here, server) == [server.network_info[0].id]


def test_the_port_cannot_be_bound(here: Here, server: Server, network: str) -> None:
    class Unbound(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            value['binding:vif_type'] = 'binding_failed'
            super().__setitem__(key, value)

    here.neutron.things['ports'] = Unbound(here.neutron.ports)
    result = attach(here, server, network_id=network)
    assert 'could not bind' in result.error
    assert len(here.neutron.ports) == 1


def test_the_guest_does_not_take_it(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'fail_attach': ['*/box']})
    network = here.neutron.add_network()
    server = here.built(make_server(), networks(NetworkRequest(network_id=network)))
    result = attach(here, server, network_id=network)
    assert (result.code, 'told to fail' in result.error) == (500, True)
    (port,) = here.neutron.ports
    result = do(here, server, work.DetachInterface(port_id=port))
    assert result.error and list(here.neutron.ports) == [port]


def test_a_result_that_nobody_wants_is_undone(here: Here, server: Server, network: str) -> None:
    here.conductor.refuse.add('work_finished')
    attach(here, server, network_id=network)
    assert list(here.neutron.ports) == plugged(here, server) == [server.network_info[0].id]


def test_a_driver_that_cannot(here: Here, server: Server, network: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(here.driver, 'attach_interface', driver.Interfaces().attach_interface)
    result = attach(here, server, network_id=network)
    assert (result.code, 'does not support attaching interfaces' in result.error) == (501, True)
    assert len(here.neutron.ports) == 1
