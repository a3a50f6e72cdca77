"""A server that no host was found for: shown, found by the operator's commands, deleted."""

from kilonova.conductor.manage import cmd as manage
from kilonova.tests.functional.cloud import Cloud


def _verify(cloud: Cloud, uuid: str) -> int:
    conf = str(cloud.folder / 'nova.conf')
    return manage.main(['--config-file', conf, 'cell_v2', 'verify_instance', '--uuid', uuid])


def test_it_is_in_a_cell_and_goes(cloud: Cloud, image: str) -> None:
    uuid = cloud.boot(cloud.flavor('vast', disk=9_000_000), image)
    server = cloud.wait_status(uuid, 'ERROR')
    assert server.get('OS-EXT-SRV-ATTR:host') is None
    assert 'No valid host' in server['fault']['message']
    assert _verify(cloud, uuid) == 0
    used = cloud.get('/os-quota-sets/demo/detail')['quota_set']['instances']['in_use']
    assert used == 1
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
    assert _verify(cloud, uuid) == 3
    used = cloud.get('/os-quota-sets/demo/detail')['quota_set']['instances']['in_use']
    assert used == 0
