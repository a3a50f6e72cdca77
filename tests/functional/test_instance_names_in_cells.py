"""What hypervisors know servers by."""

from typing import Any

import pytest

from kilonova.common import naming
from kilonova.compute.virt.driver import GuestSpec
from kilonova.compute.virt.fake import FakeDriver
from kilonova.tests.functional.cloud import Cloud

CLOUD = {'hosts': 2, 'cells': 2}
pytestmark = pytest.mark.usefixtures('clean')


def test_two_servers_have_two_names(
    cloud: Cloud, flavor: str, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``instance_name_template`` has the record's number, which the host is told."""
    names: dict[str, str] = {}
    original = FakeDriver.spawn

    def spawn(self: FakeDriver, spec: GuestSpec, *args: Any) -> Any:
        template = cloud.conf.instance_name_template
        names[spec.server.uuid] = naming.instance_name(template, spec.server)
        return original(self, spec, *args)

    monkeypatch.setattr(FakeDriver, 'spawn', spawn)
    for uuid in [cloud.boot(flavor, image) for _ in range(4)]:
        cloud.wait_status(uuid, 'ACTIVE')
        shown = cloud.get(f'/servers/{uuid}', token='admin:admin')['server']
        assert names[uuid] == shown['OS-EXT-SRV-ATTR:instance_name'] != 'instance-00000000'
