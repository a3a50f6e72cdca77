"""Images of servers that boot from volumes: guests with an agent stand still meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute import quiesce
from kilonova.compute.virt.fake import FakeDriver
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {'hosts': 1}
pytestmark = pytest.mark.usefixtures('clean')


class Frozen:
    """Says what the driver was asked, and whether snapshots were made in between."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.said: list[str] = []
        self.error: exception.KilonovaError | None = None

    def quiesce(self, server: Server) -> bool:
        if self.error is not None:
            raise self.error
        self.said.append(f'still with {len(self._cloud.cinder.snapshots)}')
        return True

    def unquiesce(self, server: Server) -> None:
        self.said.append(f'on with {len(self._cloud.cinder.snapshots)}')


@pytest.fixture
def frozen(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Frozen]:
    made = Frozen(cloud)
    monkeypatch.setattr(FakeDriver, 'quiesce', lambda _, server: made.quiesce(server))
    monkeypatch.setattr(FakeDriver, 'unquiesce', lambda _, server: made.unquiesce(server))
    cloud.cinder.snapshots.clear()
    yield made
    cloud.cinder.mend()
    cloud.cinder.snapshots.clear()


def boot(cloud: Cloud, flavor: str, **properties: Any) -> str:
    """Boot a server from a volume of an image with those properties."""
    image = cloud.glance.add(**properties)
    root = {'boot_index': 0, 'source_type': 'image', 'destination_type': 'volume', 'uuid': image,
            'volume_size': 1, 'delete_on_termination': True}  # fmt: skip
    server = {'name': 'vm', 'flavorRef': flavor, 'networks': 'none',
              'block_device_mapping_v2': [root], 'imageRef': image}  # fmt: skip
    answer = cloud.call('POST', '/servers', {'server': server})
    assert answer.status == 202, answer.text
    uuid = str(answer.json['server']['id'])
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def test_still_while_volumes_are_copied(cloud: Cloud, flavor: str, frozen: Frozen) -> None:
    uuid = boot(cloud, flavor, hw_qemu_guest_agent='yes')
    assert cloud.action(uuid, createImage={'name': 'copy'}).status == 202
    assert frozen.said == ['still with 0', 'on with 1']
    # One that Cinder refuses: it goes on all the same.
    cloud.cinder.break_with(500, 'POST /v3/snapshots')
    assert cloud.action(uuid, createImage={'name': 'copy'}).status >= 400
    assert frozen.said[2:] == ['still with 1', 'on with 1']


def test_nobody_is_asked_without_an_agent(cloud: Cloud, flavor: str, frozen: Frozen) -> None:
    uuid = boot(cloud, flavor)
    assert cloud.action(uuid, createImage={'name': 'copy'}).status == 202
    assert frozen.said == []


def test_it_must_or_may(cloud: Cloud, flavor: str, frozen: Frozen) -> None:
    may = boot(cloud, flavor, hw_qemu_guest_agent='yes')
    must = boot(cloud, flavor, hw_qemu_guest_agent='yes', os_require_quiesce='yes')
    frozen.error = exception.VirtDriverError(reason='the agent does not answer')
    assert cloud.action(may, createImage={'name': 'copy'}).status == 202
    answer = cloud.action(must, createImage={'name': 'copy'})
    assert answer.status == 400
    assert 'the agent does not answer' in answer.json['badRequest']['message']
    assert len(cloud.cinder.snapshots) == 1


def test_who_has_asked_is_gone(
    cloud: Cloud, flavor: str, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest goes on by itself."""
    uuid = boot(cloud, flavor, hw_qemu_guest_agent='yes')
    monkeypatch.setattr(quiesce, 'LONGEST', 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('kilonova.api.servers.create_image._go_on', lambda request, server: None)
        assert cloud.action(uuid, createImage={'name': 'copy'}).status == 202
    wait(lambda: frozen.said[-1].startswith('on'), 'it goes on')
