"""Building servers: ports, volumes, configuration drive, guest, and the report.

Whatever a step makes is put on a stack with its undoing; only a report that the
conductor takes clears the stack.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.metadata import devices
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.operation import BuildRequest
from kilonova.compute import config_drive, plugging, report
from kilonova.compute.events import Expectation
from kilonova.compute.host import Host
from kilonova.compute.images import GlanceImages
from kilonova.compute.operations import Abandoned, Slots, Task
from kilonova.compute.virt.driver import GuestSpec

LOG = logging.getLogger(__name__)

# What is the same on every host although no BuildAborted says so.
HOPELESS = (exception.BuildAborted, exception.ImageNotFound)


class BuildEndpoint:
    """Builds servers on one host, ``max_concurrent_builds`` at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._slots = Slots(host.conf.max_concurrent_builds)

    def build_server(self, context: RequestContext, request: BuildRequest) -> None:
        def work(task: Task) -> None:
            with self._slots.take(task, self._host.operations.stopping):
                _Build(self._host, context, request, task).run()

        self._host.operations.start(context, 'build', request.server.uuid, request.fence, work)


class _Build:
    """One attempt."""

    def __init__(
        self, host: Host, context: RequestContext, request: BuildRequest, task: Task
    ) -> None:
        self.host, self.context, self.request, self.task = host, context, request, task
        self.server, self.fence = request.server, request.fence
        self.left: list[str] = []

    def run(self) -> None:
        LOG.info('Building server %s (%s)', self.server.uuid, self.fence)
        try:
            with self.host.events.expect(self.server.uuid) as expectation:
                self._make(expectation)
        except (exception.Superseded, Abandoned):
            raise
        except Exception as error:
            expected = isinstance(error, exception.KilonovaError)
            LOG.warning(
                'Building server %s failed: %s', self.server.uuid, error, exc_info=not expected
            )
            self.host.notices.failed(self.context, 'build', error)
            self._report_failure(error)
        else:
            LOG.info('Server %s is built', self.server.uuid)

    def _make(self, expectation: Expectation) -> None:
        with contextlib.ExitStack() as undo:
            try:
                vifs = self._make_ports(undo)
                self._make_volumes(undo)
                changes = self._make_guest(undo, vifs, expectation)
                self._finish(vifs, changes)
            except Abandoned:
                undo.pop_all()
                raise
            undo.pop_all()

    def _make_ports(self, undo: contextlib.ExitStack) -> list[VIF]:
        networks, ports = self.request.networks, self.host.ports
        if networks.mode == 'none':
            return []
        undo.callback(self._undo, 'ports', lambda: ports.roll_back(self.server, networks))
        vifs = ports.allocate(
            self.server, networks, clean_first=self.fence.attempt > 1, check=self.task.check
        )
        self._fenced(
            lambda: self.host.conductor.server_progress(
                self.context, self.server.uuid, self.fence, 'spawning', vifs
            )
        )
        return vifs

    def _make_volumes(self, undo: contextlib.ExitStack) -> None:
        volumes = self.host.volumes
        if not any(device.is_volume for device in self.server.block_devices):
            return
        undo.callback(
            self._undo, 'volumes', lambda: volumes.roll_back(self.server, self._report_devices)
        )
        self._fenced(
            lambda: self.host.conductor.server_progress(
                self.context, self.server.uuid, self.fence, 'block_device_mapping'
            )
        )
        volumes.prepare(
            self.context,
            self.server,
            self.fence.attempt > 1,
            self._report_devices,
            self.task.sleep,
        )
        self._fenced(
            lambda: self.host.conductor.server_progress(
                self.context, self.server.uuid, self.fence, 'spawning'
            )
        )

    def _report_devices(self, changed: list[BlockDevice]) -> None:
        self._fenced(
            lambda: self.host.conductor.update_block_devices(
                self.context, self.server.uuid, self.fence, changed
            )
        )

    def _make_guest(
        self, undo: contextlib.ExitStack, vifs: list[VIF], expectation: Expectation
    ) -> dict[str, Any]:
        tree = None
        if config_drive.is_wanted(self.host.conf, self.server):
            tree = config_drive.build(
                self.host.conf,
                self.server,
                vifs,
                self.request.personality,
                self.request.admin_password,
            )
        self.task.check()
        undo.callback(self._undo, 'guest', lambda: self.host.driver.destroy(self.server, vifs))
        spec = GuestSpec(
            server=self.server,
            vifs=vifs,
            config_drive=tree,
            admin_password=self.request.admin_password,
            personality=self.request.personality,
        )
        images = GlanceImages(self.host.conf, self.context, self.server.image)
        changes = self.host.driver.spawn(
            spec, images, lambda start: self._wait_plugged(start, vifs, expectation)
        )
        self._note_places(vifs)
        return changes | {'config_drive': tree is not None}

    def _note_places(self, vifs: list[VIF]) -> None:
        """Note where the guest has what it is told of: ports are reported at the end."""
        tagged = [device for device in self.server.block_devices if device.tag]
        if tagged or any(vif.is_told for vif in vifs):
            devices.put(self.host.driver.get_places(self.server), vifs, tagged)
        if tagged:
            self._report_devices(tagged)

    def _wait_plugged(
        self, start: Callable[[], None], vifs: list[VIF], expectation: Expectation
    ) -> None:
        plugging.start_and_wait(self.host, self.task, vifs, expectation, start)

    def _finish(self, vifs: list[VIF], changes: dict[str, Any]) -> None:
        power_state = int(self.host.driver.get_power_state(self.server.uuid))
        self.host.volumes.complete(self.server.block_devices)
        self._fenced(
            lambda: self.host.conductor.build_finished(
                self.context, self.server.uuid, self.fence, power_state, vifs, changes
            )
        )
        self.host.told[self.server.uuid] = power_state

    def _fenced(self, send: Callable[[], bool]) -> None:
        """Report a step; Superseded when the conductor does not want it any more."""
        if not report.deliver_fenced(f'Server {self.server.uuid}', send, self.task):
            raise exception.Superseded(operation=self.fence.operation, uuid=self.server.uuid)

    def _undo(self, what: str, remove: Callable[[], None]) -> None:
        """Remove one thing; what cannot be removed must not keep the rest from being removed."""
        try:
            remove()
        except Exception:
            LOG.exception('The %s of server %s could not be removed', what, self.server.uuid)
            self.left.append(what)

    def _report_failure(self, error: Exception) -> None:
        reason, details = report.describe(error)
        if self.left:
            details += f'\nLeft on {self.host.name}: {", ".join(self.left)}'
        report.deliver(
            f'The failed build of server {self.server.uuid}',
            lambda: self.host.conductor.build_failed(
                self.context,
                self.server.uuid,
                self.fence,
                reason,
                details,
                reschedule=not isinstance(error, HOPELESS),
                code=error.code if isinstance(error, exception.KilonovaError) else 500,
            ),
            self.task,
        )
