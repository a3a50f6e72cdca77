"""What the tests of moves look at."""

from typing import Any

from kilonova.compute.virt.fake import FakeDriver
from kilonova.tests.functional.cloud import Cloud, wait


def drivers(cloud: Cloud) -> dict[str, FakeDriver]:
    """Return the fake drivers by host."""
    found = {}
    for compute in cloud.all.computes.computes:
        driver = compute.host.driver
        assert isinstance(driver, FakeDriver)
        found[compute.host.name] = driver
    return found


def guests(cloud: Cloud, uuid: str) -> set[str]:
    """Return the hosts that have something of a server."""
    return {host for host, driver in drivers(cloud).items() if uuid in driver.list_guests()}


def migrations(cloud: Cloud, uuid: str) -> list[dict[str, Any]]:
    """Return a server's moves, the newest first."""
    answer = cloud.admin('GET', f'/os-migrations?instance_uuid={uuid}')
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json['migrations']
    return found


def events(cloud: Cloud, uuid: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Return a server's last action and what happened in it, where, and how it went."""
    path = f'/servers/{uuid}/os-instance-actions'
    action = cloud.get(path, token='admin:admin')['instanceActions'][0]
    found = cloud.get(f'{path}/{action["request_id"]}', token='admin:admin')['instanceAction']
    return found['action'], [(e['event'], e['host'], e['result']) for e in found['events']]


def wait_task(cloud: Cloud, uuid: str, task: str) -> None:
    """Wait until a server is in the middle of something."""

    def there() -> bool:
        server = cloud.get(f'/servers/{uuid}', token='admin:admin')['server']
        return bool(server['OS-EXT-STS:task_state'] == task)

    wait(there, f'{uuid} does {task}')


def host_of(cloud: Cloud, uuid: str) -> str:
    server = cloud.get(f'/servers/{uuid}', token='admin:admin')['server']
    return str(server['OS-EXT-SRV-ATTR:host'])
