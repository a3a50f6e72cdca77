"""Volumes of servers on one host: made once, connected, let go of."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from keystoneauth1 import loading as ks

from kilonova.common.clients import keystone
from kilonova.common.context import RequestContext
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import Networks
from kilonova.common.objects.operation import BuildRequest, Fence
from kilonova.common.objects.server import Server
from kilonova.tests.fakes.cinder import FakeCinder
from kilonova.tests.fakes.server import Caller
from kilonova.tests.unit.compute.here import Here, make_server

OPTIONS = {
    'block_device_allocate_retries': 2,
    'block_device_allocate_retries_interval': 0,
}
AS_USER = RequestContext(user_id='u', project_id='demo', auth_token='u:demo', overwrite=False)


@pytest.fixture
def cinder(make_here: Callable[..., Here]) -> Iterator[FakeCinder]:
    fake = FakeCinder()
    yield fake
    fake.close()
    keystone.forget()


def host(make_here: Callable[..., Here], cinder: FakeCinder, **groups: Any) -> Here:
    here = make_here(DEFAULT=OPTIONS, **groups)
    ks.register_auth_conf_options(here.conf, 'cinder')
    here.conf.set_override('auth_type', 'none', group='cinder')
    here.conf.set_override('endpoint_template', f'{cinder.url}/v3', group='cinder')
    return here


def device(**fields: Any) -> BlockDevice:
    values = {
        'uuid': str(uuid.uuid4()),
        'destination_type': 'volume',
        'device_name': '/dev/vdb',
        'volume_size': 1,
    }
    return BlockDevice(**{**values, **fields})


def given(cinder: FakeCinder, server: Server) -> BlockDevice:
    """Return a device whose volume is reserved, as the conductor leaves it."""
    volume_id = cinder.add_volume()
    cinder.caller = Caller()
    _, answer = cinder.create_attachment(
        {'attachment': {'volume_uuid': volume_id, 'instance_uuid': server.uuid}}
    )
    attachment = answer['attachment']['id']
    return device(source_type='volume', volume_id=volume_id, attachment_id=attachment)


def build(here: Here, server: Server, attempt: int = 1, context: RequestContext = AS_USER) -> Fence:
    fence = Fence(str(uuid.uuid4()), attempt)
    server = msgspec.structs.replace(server, operation=fence.operation)
    request = BuildRequest(server=server, fence=fence, networks=Networks(mode='none'))
    here.builds.build_server(context, request)
    return fence


def reported(here: Here) -> list[BlockDevice]:
    found: list[BlockDevice] = here.conductor.named('update_block_devices')[-1]['devices']
    return found


def test_a_given_and_a_new_volume(make_here: Callable[..., Here], cinder: FakeCinder) -> None:
    here = host(make_here, cinder)
    server = make_server()
    new = device(source_type='image', image_id=str(uuid.uuid4()), device_name='/dev/vda')
    server.block_devices = [new, given(cinder, server)]
    build(here, server)
    here.conductor.wait_for('build_finished')
    guest = here.driver._guests[server.uuid]
    assert sorted(guest.volumes.values()) == ['/dev/vda', '/dev/vdb']
    assert {v['status'] for v in cinder.volumes.values()} == {'in-use'}
    assert all(one.connection_info and one.attachment_id for one in reported(here))
    states = [call['task_state'] for call in here.conductor.named('server_progress')]
    assert states == ['block_device_mapping', 'spawning']


def test_what_an_earlier_attempt_made_is_found(
    make_here: Callable[..., Here], cinder: FakeCinder
) -> None:
    here = host(make_here, cinder)
    server, new = make_server(), device(source_type='blank')
    made = cinder.add_volume(metadata={'kilonova_block_device': new.uuid})
    server.block_devices = [new]
    build(here, server, attempt=2)
    here.conductor.wait_for('build_finished')
    assert list(cinder.volumes) == [made] and cinder.status(made) == 'in-use'


def test_an_attachment_of_an_earlier_attempt_is_made_anew(
    make_here: Callable[..., Here], cinder: FakeCinder
) -> None:
    here = host(make_here, cinder)
    server = make_server()
    old = given(cinder, server)
    first = old.attachment_id
    cinder.attachments[first or '']['status'] = 'attaching'
    server.block_devices = [old]
    build(here, server, attempt=2)
    here.conductor.wait_for('build_finished')
    (attachment,) = cinder.attachments.values()
    assert attachment['id'] != first and attachment['status'] == 'attached'


def test_without_a_token_no_volume_is_made(
    make_here: Callable[..., Here], cinder: FakeCinder
) -> None:
    here = host(make_here, cinder)
    server = make_server(block_devices=[device(source_type='blank')])
    build(here, server, context=RequestContext(project_id='demo', overwrite=False))
    failed = here.conductor.wait_for('build_failed')
    assert 'is gone' in failed['reason'] and failed['reschedule'] is False
    assert cinder.volumes == {}


def test_a_failed_build_leaves_given_volumes_reserved(
    make_here: Callable[..., Here], cinder: FakeCinder
) -> None:
    here = host(make_here, cinder, fake_driver={'fail_spawn': ['*/box']})
    server = make_server()
    server.block_devices = [given(cinder, server)]
    build(here, server)
    assert here.conductor.wait_for('build_failed')['reschedule'] is True
    (attachment,) = cinder.attachments.values()
    assert attachment['connector'] is None
    assert [one.attachment_id for one in reported(here)] == [attachment['id']]


def test_a_server_that_was_taken_over_keeps_no_volume(
    make_here: Callable[..., Here], cinder: FakeCinder
) -> None:
    here = host(make_here, cinder)
    server = make_server()
    server.block_devices = [given(cinder, server)]
    here.conductor.refuse.add('update_block_devices')
    build(here, server)
    here.conductor.wait_for('update_block_devices', 2)
    here.wait_idle()
    assert cinder.attachments == {} and here.driver.list_guests() == []


def test_a_driver_without_volumes_says_so(
    make_here: Callable[..., Here], cinder: FakeCinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kilonova.compute.virt import driver, fake_volumes

    monkeypatch.setattr(
        fake_volumes.FakeVolumes, 'get_volume_connector', driver.Volumes.get_volume_connector
    )
    here = host(make_here, cinder)
    server = make_server()
    server.block_devices = [given(cinder, server)]
    build(here, server)
    failed = here.conductor.wait_for('build_failed')
    assert 'does not support volumes' in failed['reason'] and failed['reschedule'] is False


def test_deleting_lets_go_of_all_and_deletes_what_is_to_go(
    make_here: Callable[..., Here], cinder: FakeCinder
) -> None:
    here = host(make_here, cinder)
    server = make_server()
    kept, gone = given(cinder, server), given(cinder, server)
    gone.delete_on_termination = True
    unknown = device(source_type='blank', delete_on_termination=True)
    cinder.add_volume(metadata={'kilonova_block_device': unknown.uuid})
    server.block_devices = [kept, gone, unknown]
    fence = Fence(str(uuid.uuid4()), 1)
    cinder.break_with(500, 'DELETE .*/attachments')
    here.deletes.terminate_server(AS_USER, server, fence)
    here.conductor.wait_for('delete_failed')
    cinder.mend()
    here.deletes.terminate_server(AS_USER, server, Fence(str(uuid.uuid4()), 1))
    here.conductor.wait_for('delete_finished')
    assert cinder.attachments == {} and list(cinder.volumes) == [kept.volume_id]
