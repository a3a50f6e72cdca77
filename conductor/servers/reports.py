"""What compute hosts report of the operations that they work on."""

from typing import Any

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import procedure
from kilonova.conductor.tasks.build import Build
from kilonova.conductor.tasks.delete import Delete
from kilonova.db import operations

BUILD_CHANGES = ('root_device_name', 'system_metadata', 'config_drive')


class Reports:
    """Endpoint."""

    def __init__(self, parts: Parts, engine: Engine, build: Build, delete: Delete) -> None:
        self._parts, self._engine = parts, engine
        self._build, self._delete = build, delete

    def is_wanted(self, context: Ctx, uuid: str, fence: Fence) -> bool:
        with self._parts.cell_db.reader() as session:
            operation = operations.get(session, fence.operation)
        if operation is None or operation.state != operations.RUNNING:
            return False
        return operation.fence == fence

    def server_progress(
        self,
        context: Ctx,
        uuid: str,
        fence: Fence,
        task_state: str,
        network_info: list[VIF] | None = None,
    ) -> bool:
        return self._build.progress(uuid, fence, task_state, network_info)

    def update_block_devices(
        self, context: Ctx, uuid: str, fence: Fence, devices: list[BlockDevice]
    ) -> bool:
        return self._build.devices(uuid, fence, devices)

    def build_finished(
        self,
        context: Ctx,
        uuid: str,
        fence: Fence,
        power_state: int,
        network_info: list[VIF],
        changes: dict[str, Any],
    ) -> bool:
        # What we do not know comes from a newer host.
        values = {name: changes[name] for name in BUILD_CHANGES if name in changes}
        values |= {'power_state': power_state, 'network_info': network_info}
        return self._build.finished(uuid, fence, values)

    def build_failed(
        self,
        context: Ctx,
        uuid: str,
        fence: Fence,
        reason: str,
        details: str | None,
        reschedule: bool,
        code: int = 500,
    ) -> None:
        self._build.failed(uuid, fence, reason, details, reschedule, code)

    def work_finished(self, context: Ctx, uuid: str, fence: Fence, result: WorkResult) -> bool:
        return procedure.finished(self._parts, self._engine, uuid, fence, result)

    def delete_finished(self, context: Ctx, uuid: str, fence: Fence) -> bool:
        return self._delete.finished(uuid, fence)

    def delete_failed(
        self, context: Ctx, uuid: str, fence: Fence, reason: str, details: str | None
    ) -> None:
        self._delete.failed(uuid, fence, reason, details)
