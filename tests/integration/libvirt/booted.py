"""A guest that runs, as tests see it: its console, its agent, its domain."""

import base64
import dataclasses
import json
import pathlib
import re
import time
from typing import Any

from lxml import etree
from oslo_config import cfg

from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import ImageSource, PowerState
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.processes import wait_for

READY = 'lab-guest: ready'
LIMIT = 240


@dataclasses.dataclass
class Booted:
    """One server and what it stands on."""

    conf: cfg.ConfigOpts
    driver: LibvirtDriver
    server: Server
    images: ImageSource
    libvirtd: Libvirtd
    changes: dict[str, Any]
    """What spawn has returned."""

    @property
    def directory(self) -> pathlib.Path:
        return pathlib.Path(self.conf.instances_path) / self.server.uuid

    @property
    def state(self) -> PowerState:
        return self.driver.get_power_state(self.server.uuid)

    def console(self) -> str:
        return self.driver.get_console_output(self.server).decode(errors='replace')

    def boots(self) -> int:
        """Return how often the guest has come up."""
        return self.console().count(READY)

    def wait_ready(self, more_than: int = 0) -> str:
        """Wait until it has come up that often and once more; return the console from then on."""

        def look() -> str | None:
            text = self.console()
            if text.count(READY) <= more_than:
                return None
            return re.split(f'{READY}[^\n]*\n', text)[more_than] + text.rpartition(READY)[2]

        return str(wait_for('the guest', look, LIMIT, 0.5))

    def virsh(self, *command: str) -> str:
        return self.libvirtd.virsh(*command)

    def xml(self, *options: str) -> etree._Element:
        return etree.fromstring(self.virsh('dumpxml', *options, self.server.uuid))

    def agent(self, command: str, **arguments: Any) -> Any:
        """Ask the guest's agent."""
        asked = json.dumps({'execute': command, 'arguments': arguments})
        answer = self.virsh('qemu-agent-command', '--timeout', '30', self.server.uuid, asked)
        return json.loads(answer)['return']

    def run(self, script: str) -> str:
        """Run a shell script in the guest; return what it prints."""
        wait_for('the agent', self._agent_answers, 60, 0.5)
        pid = self.agent(
            'guest-exec', path='/bin/sh', arg=['-c', script], **{'capture-output': True}
        )['pid']
        deadline = time.monotonic() + 60
        while True:
            done = self.agent('guest-exec-status', pid=pid)
            if done['exited']:
                assert done['exitcode'] == 0, done
                return base64.b64decode(done.get('out-data', '')).decode()
            assert time.monotonic() < deadline, script
            time.sleep(0.2)

    def _agent_answers(self) -> bool:
        try:
            self.agent('guest-ping')
        except AssertionError:
            return False
        return True
