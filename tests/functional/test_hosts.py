"""Diagnostics of servers, topology, os-hosts, and images kept ready on hosts."""

import uuid as uuids

from kilonova.tests.functional import compare
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.unit.api.reference import sample

CLOUD = {'hosts': 2}


def test_diagnostics_and_topology(cloud: Cloud, flavor: str, image: str, clean: None) -> None:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    path = f'/servers/{uuid}/diagnostics'
    new = cloud.admin('GET', path, version='2.48').json
    assert (new['state'], new['num_cpus'], new['memory_details']['maximum']) == ('running', 1, 512)
    old = cloud.admin('GET', path, version='2.47').json
    assert old['memory'] == 512 * 1024 and 'vda_read' in old
    assert cloud.call('GET', path).status == 403
    assert cloud.call('GET', path, token='mallory:evil').status == 404
    assert cloud.get(f'/servers/{uuid}/topology') == {'nodes': [], 'pagesize_kb': None}
    assert cloud.call('GET', f'/servers/{uuid}/topology', token='mallory:evil').status == 404
    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    cloud.wait_status(uuid, 'SHUTOFF')
    refused = cloud.admin('GET', path)
    assert refused.status == 409
    assert refused.json['conflictingRequest']['message'] == (
        f"Cannot 'get_diagnostics' instance {uuid} while it is in power state shutdown"
    )


def test_old_hosts(cloud: Cloud, flavor: str, image: str, clean: None) -> None:
    uuid = cloud.boot(flavor, image)
    host = cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host']
    listed = cloud.admin('GET', '/os-hosts', version='2.42').json
    compare.check(listed, sample('os-hosts/hosts-list-resp.json'))
    assert {'controller-1', 'controller-2'} <= {one['host_name'] for one in listed['hosts']}
    with cloud.counted() as counts:
        shown = cloud.admin('GET', f'/os-hosts/{host}', version='2.42').json
    assert counts.rpc == ['call get_host_resources'] and len(counts.sql) == 2, counts.sql
    compare.check(shown, sample('os-hosts/host-get-resp.json'))
    assert shown['host'][-1]['resource'] == {
        'host': host, 'project': 'demo', 'cpu': 1, 'memory_mb': 512, 'disk_gb': 1,
    }  # fmt: skip
    for action in ('startup', 'shutdown', 'reboot'):
        answer = cloud.admin('GET', f'/os-hosts/{host}/{action}', version='2.1').json
        assert answer == {'host': host, 'power_action': action}
    body = sample('os-hosts/host-put-maintenance-req.json')
    answer = cloud.admin('PUT', f'/os-hosts/{host}', body, version='2.1').json
    compare.check(answer, sample('os-hosts/host-put-maintenance-resp.json'))
    off = cloud.admin('PUT', f'/os-hosts/{host}', {'status': 'disable'}, version='2.1').json
    assert off['status'] == 'disabled'
    left = cloud.admin('GET', '/os-hosts', version='2.42').json['hosts']
    assert host not in {one['host_name'] for one in left}
    on = cloud.admin('PUT', f'/os-hosts/{host}', {'status': 'enable'}, version='2.1').json
    assert on['status'] == 'enabled'
    assert cloud.admin('GET', '/os-hosts/nowhere', version='2.1').status == 404
    assert cloud.admin('GET', '/os-hosts/nowhere/reboot', version='2.1').status == 404
    assert cloud.call('GET', f'/os-hosts/{host}', version='2.1').status == 403


def test_images_are_kept_ready(cloud: Cloud) -> None:
    wanted, member = cloud.glance.add(), 'controller-1'
    made = cloud.admin('POST', '/os-aggregates', {'aggregate': {'name': 'ready'}})
    path = f'/os-aggregates/{made.json["aggregate"]["id"]}'
    cloud.admin('POST', f'{path}/action', {'add_host': {'host': member}})
    body = {'cache': [{'id': wanted}]}
    assert cloud.admin('POST', f'{path}/images', body).status == 202
    drivers = {one.host.name: one.host.driver for one in cloud.all.computes.computes}
    wait(lambda: drivers[member].cached == {wanted}, 'the image is there')  # type: ignore[attr-defined]
    assert drivers['controller-2'].cached == set()  # type: ignore[attr-defined]
    assert cloud.admin('POST', '/os-aggregates/99/images', body).status == 404
    for bad in ([], [{'id': str(uuids.uuid4())}], [{'id': wanted}, {'id': str(uuids.uuid4())}]):
        assert cloud.admin('POST', f'{path}/images', {'cache': bad}).status == 400
    assert cloud.call('POST', f'{path}/images', body).status == 403
    cloud.admin('POST', f'{path}/action', {'remove_host': {'host': member}})
    assert cloud.admin('DELETE', path).status == 200
