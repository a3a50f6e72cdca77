"""Fellow services that fail, and requests that they refuse: a state, a reason, nothing left."""

import time
from typing import Any

import pytest

from kilonova.tests.functional import faulty
from kilonova.tests.functional.cloud import Answer, Cloud, wait
from kilonova.tests.functional.faulty import HANG, ask

CLOUD = faulty.CLOUD
network, nothing_left = faulty.network, faulty.nothing_left

GIB = 1024**3


def refused(cloud: Cloud, answer: Answer, status: int, *words: str) -> None:
    """See that a request was refused with the reason, and that there is no server."""
    assert answer.status == status, answer.text
    ((_, fault),) = answer.json.items()
    assert fault['code'] == status
    for word in words:
        assert word in fault['message'], fault['message']
    assert 'Traceback' not in fault['message'] and 'Unexpected API' not in fault['message']
    assert cloud.get('/servers')['servers'] == []
    assert cloud.placement.usages() == {}


def failed(cloud: Cloud, answer: Answer, *words: str, seconds: float = 60) -> dict[str, Any]:
    """See that a server was accepted and is in ERROR, with a fault that says why."""
    assert answer.status == 202, answer.text
    server = cloud.wait_status(answer.json['server']['id'], 'ERROR', 'ACTIVE', seconds=seconds)
    assert server['status'] == 'ERROR'
    for word in words:
        assert word in str(server['fault']), server['fault']
    assert server['fault']['code'] >= 400 and server['fault']['message']
    uuid = server['id']
    wait(lambda: uuid not in cloud.placement.usages(), 'the claim is given back')
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [action['message'] for action in actions] == ['Error']
    return server


# -- fellow services fail while the request waits


@pytest.mark.parametrize('status, delay', [(500, 0), (502, 0), (503, 0), (200, HANG)])
def test_glance_fails_at_create(
    cloud: Cloud, flavor: str, image: str, status: int, delay: float
) -> None:
    cloud.glance.break_with(status, delay=delay)
    started = time.monotonic()
    refused(cloud, ask(cloud, flavor, image), 503, 'image')
    assert time.monotonic() - started < 15


@pytest.mark.parametrize('status, delay', [(500, 0), (503, 0), (200, HANG)])
def test_neutron_fails_at_create(
    cloud: Cloud, flavor: str, image: str, network: str, status: int, delay: float
) -> None:
    cloud.neutron.break_with(status, delay=delay)
    started = time.monotonic()
    refused(cloud, ask(cloud, flavor, image, [{'uuid': network}]), 503, 'network')
    assert time.monotonic() - started < 15


def test_answers_that_are_no_json(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    cloud.neutron.break_with(200, 'GET')  # an object, but not the one that was asked for
    refused(cloud, ask(cloud, flavor, image, [{'uuid': network}]), 503, 'network')
    cloud.neutron.mend()
    cloud.glance.break_with(200)
    refused(cloud, ask(cloud, flavor, image), 503, 'image')


# -- while the server is built


@pytest.mark.parametrize('status, delay', [(500, 0), (503, 0), (504, HANG)])
def test_neutron_fails_at_build(
    cloud: Cloud, flavor: str, image: str, network: str, status: int, delay: float
) -> None:
    cloud.neutron.break_with(status, 'POST /v2.0/ports', delay)
    failed(cloud, ask(cloud, flavor, image, [{'uuid': network}]), 'network')


@pytest.mark.parametrize('status', [400, 401, 403, 404, 409, 413])
def test_neutron_refuses_at_build(
    cloud: Cloud, flavor: str, image: str, network: str, status: int
) -> None:
    cloud.neutron.break_with(status, 'POST /v2.0/ports')
    failed(cloud, ask(cloud, flavor, image, [{'uuid': network}]), 'network')


def test_a_port_is_made_and_then_neutron_fails(
    cloud: Cloud, flavor: str, image: str, network: str
) -> None:
    cloud.neutron.break_with(500, 'GET /v2.0/subnets')
    failed(cloud, ask(cloud, flavor, image, [{'uuid': network}]))
    assert cloud.neutron.ports == {}


def test_neutron_fails_at_build_and_at_clean_up(
    cloud: Cloud, flavor: str, image: str, network: str
) -> None:
    """What could not be removed then is removed with the server."""
    cloud.neutron.break_with(500, 'GET /v2.0/subnets')
    cloud.neutron.break_with(500, 'DELETE /v2.0/ports')
    failed(cloud, ask(cloud, flavor, image, [{'uuid': network}]))
    assert len(cloud.neutron.ports) == 1


@pytest.mark.parametrize('status', [500, 503])
@pytest.mark.parametrize('what', ['GET /allocation_candidates', 'PUT /allocations'])
def test_placement_fails_for_a_while(
    cloud: Cloud, flavor: str, image: str, what: str, status: int
) -> None:
    """The build goes on when placement is back: nobody has to ask again."""
    failures = iter(range(3))

    def intercept(method: str, path: str) -> tuple[int, str, str] | None:
        if f'{method} {path}'.startswith(what) and next(failures, None) is not None:
            return status, 'broken', 'on purpose'
        return None

    _ask_placement(cloud, flavor)
    cloud.placement.intercept = intercept
    answer = ask(cloud, flavor, image)
    assert answer.status == 202
    server = cloud.wait_status(answer.json['server']['id'], 'ACTIVE', 'ERROR', seconds=90)
    if server['status'] == 'ERROR':
        assert 'lacement' in str(server['fault']) or 'valid host' in str(server['fault'])


@pytest.mark.parametrize('what', ['GET /allocation_candidates', 'PUT /allocations'])
def test_placement_refuses(cloud: Cloud, flavor: str, image: str, what: str) -> None:
    def intercept(method: str, path: str) -> tuple[int, str, str] | None:
        if f'{method} {path}'.startswith(what):
            return 409, 'placement.undefined_code', 'no room'
        return None

    _ask_placement(cloud, flavor)
    cloud.placement.intercept = intercept
    failed(cloud, ask(cloud, flavor, image))


def _ask_placement(cloud: Cloud, flavor: str) -> None:
    """Let the flavor ask for what the scheduler's table does not know: who shares."""
    specs = {'extra_specs': {'trait:MISC_SHARES_VIA_AGGREGATE': 'forbidden'}}
    assert cloud.admin('POST', f'/flavors/{flavor}/os-extra_specs', specs).status == 200


# -- images


def test_image_larger_than_the_disk(cloud: Cloud, flavor: str) -> None:
    image = cloud.glance.add(size=2 * GIB)
    refused(cloud, ask(cloud, flavor, image), 400, "Flavor's disk is too small for requested image")


@pytest.mark.parametrize(
    'field, value, words',
    [('min_ram', 1024, 'memory is too small'), ('min_disk', 2, "Flavor's disk is smaller")],
)
def test_image_wants_more(cloud: Cloud, flavor: str, field: str, value: int, words: str) -> None:
    wanted: dict[str, Any] = {field: value}
    image = cloud.glance.add(**wanted)
    refused(cloud, ask(cloud, flavor, image), 400, words)


@pytest.mark.parametrize('status', ['queued', 'saving', 'deactivated', 'killed', 'deleted',
                                    'pending_delete', 'importing', 'uploading'])  # fmt: skip
def test_image_is_not_active(cloud: Cloud, flavor: str, status: str) -> None:
    image = cloud.glance.add(status=status)
    refused(cloud, ask(cloud, flavor, image), 400, f'Image {image} is not active.')


def test_image_is_not_there(cloud: Cloud, flavor: str, image: str) -> None:
    gone = cloud.glance.add()
    del cloud.glance.images[gone]
    refused(cloud, ask(cloud, flavor, gone), 400, 'Can not find requested image')
    for status in (401, 403):
        cloud.glance.break_with(status)
        refused(cloud, ask(cloud, flavor, image), 400, 'Can not find requested image')
        cloud.glance.mend()


# -- ports and addresses


def _port(cloud: Cloud, network: str, **changes: Any) -> str:
    port = cloud.neutron.make_port(network)
    port.update(changes)
    return str(port['id'])


def test_port_that_is_not_there(cloud: Cloud, flavor: str, image: str) -> None:
    """Another project's port is not in the list that Neutron gives to the user."""
    missing = '0f7b9b8c-1111-4222-8333-944445555666'
    answer = ask(cloud, flavor, image, [{'port': missing}])
    refused(cloud, answer, 400, f'Port id {missing} could not be found.')


def test_port_in_use(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    port = _port(cloud, network, device_id='another')
    refused(cloud, ask(cloud, flavor, image, [{'port': port}]), 409, f'Port {port} is still in use')


def test_port_taken_in_the_meantime(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    """Between the request and the build somebody else has bound it: it stays theirs."""
    port = _port(cloud, network)

    def intercept(method: str, path: str) -> None:
        if path.startswith('/allocations/'):
            cloud.neutron.ports[port]['device_id'] = 'another'

    cloud.placement.intercept = intercept
    failed(cloud, ask(cloud, flavor, image, [{'port': port}]), f'Port {port} is still in use')
    assert cloud.neutron.ports[port]['device_id'] == 'another'


def test_a_given_port_is_given_back(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    port = _port(cloud, network)
    cloud.neutron.break_with(500, 'GET /v2.0/subnets')
    failed(cloud, ask(cloud, flavor, image, [{'port': port}]))
    assert cloud.neutron.ports[port]['device_id'] == ''
    assert not cloud.neutron.ports[port]['binding:host_id']


def test_port_without_an_address(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    port = _port(cloud, network, fixed_ips=[])
    refused(cloud, ask(cloud, flavor, image, [{'port': port}]), 400, port)


def test_network_without_addresses(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    (subnet,) = cloud.neutron.things['networks'][network]['subnets']
    cloud.neutron.things['subnets'][subnet]['cidr'] = '10.99.0.0/30'
    failed(cloud, ask(cloud, flavor, image, [{'uuid': network}]), 'No fixed IP addresses available')


def test_network_without_a_subnet(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    cloud.neutron.things['networks'][network]['subnets'] = []
    refused(cloud, ask(cloud, flavor, image, [{'uuid': network}]), 400, network)


def test_network_that_is_not_there(cloud: Cloud, flavor: str, image: str) -> None:
    missing = '0f7b9b8c-1111-4222-8333-944445555666'
    answer = ask(cloud, flavor, image, [{'uuid': missing}])
    refused(cloud, answer, 400, f'Network {missing} could not be found.')


def test_port_quota(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    cloud.neutron.port_quota = 1
    answer = ask(cloud, flavor, image, [{'uuid': network}, {'uuid': network}])
    refused(cloud, answer, 403, 'Maximum number of ports exceeded')


def test_port_quota_used_up_in_the_meantime(
    cloud: Cloud, flavor: str, image: str, network: str
) -> None:
    def intercept(method: str, path: str) -> None:
        if path.startswith('/allocations/'):
            cloud.neutron.port_quota = 0

    cloud.placement.intercept = intercept
    failed(cloud, ask(cloud, flavor, image, [{'uuid': network}]), 'Maximum number of ports')


def test_address_that_is_taken(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    port = cloud.neutron.ports[_port(cloud, network, device_id='another')]
    address = port['fixed_ips'][0]['ip_address']
    answer = ask(cloud, flavor, image, [{'uuid': network, 'fixed_ip': address}])
    refused(cloud, answer, 400, f'Fixed IP address {address} is already in use')
    # Nobody's port has it: Neutron is the one to refuse.
    port['device_id'] = ''
    answer = ask(cloud, flavor, image, [{'uuid': network, 'fixed_ip': address}])
    failed(cloud, answer, address)


def test_address_of_another_network(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    answer = ask(cloud, flavor, image, [{'uuid': network, 'fixed_ip': '203.0.113.5'}])
    failed(cloud, answer, '203.0.113.5')


# -- what else a request can get wrong


@pytest.mark.parametrize(
    'field, value, words',
    [
        ('flavorRef', 'nothing', 'Flavor nothing could not be found.'),
        ('key_name', 'nothing', 'Invalid key_name provided.'),
        ('availability_zone', 'nowhere', 'The requested availability zone is not available'),
        ('security_groups', [{'name': 'nothing'}], 'nothing'),
    ],
)
def test_what_is_not_there(
    cloud: Cloud, flavor: str, image: str, network: str, field: str, value: Any, words: str
) -> None:
    more: dict[str, Any] = {'flavorRef': flavor, 'imageRef': image, 'name': 'x', field: value}
    body = {'server': {'networks': [{'uuid': network}], **more}}
    refused(cloud, cloud.call('POST', '/servers', body), 400, words)


def test_no_room_for_all(cloud: Cloud, image: str) -> None:
    """Of several servers all are built or none: nobody is left with half a request."""
    large = cloud.flavor('large', ram=500_000)
    cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': {'ram': -1}})
    answer = ask(cloud, large, image, min_count=3, max_count=3)
    assert answer.status == 202
    for server in cloud.get('/servers')['servers']:
        shown = cloud.wait_status(server['id'], 'ERROR')
        assert 'No valid host' in shown['fault']['message']
    wait(lambda: cloud.placement.usages() == {}, 'the claims are given back')
    cloud.admin('DELETE', '/os-quota-sets/demo')
