"""Volumes of servers that exist."""

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import SnapshotVolume as SnapshotWork
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import accept
from kilonova.conductor.tasks.volumes import common, quiesce
from kilonova.conductor.tasks.volumes.attach import AttachVolume
from kilonova.conductor.tasks.volumes.detach import DetachVolume
from kilonova.conductor.tasks.volumes.swap import SwapVolume
from kilonova.conductor.tasks.volumes.told import AssistedSnapshots, ExtendVolume
from kilonova.db import block_devices, servers
from kilonova.db.engine import retry


class ServerVolumes:
    """Endpoint, and the tasks."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        self._attach, self._detach = AttachVolume(parts, engine), DetachVolume(parts, engine)
        self._swap = SwapVolume(parts, engine)
        self._snapshots = AssistedSnapshots(parts, engine)
        self.extending = ExtendVolume(parts, engine)

    def attach_volume(self, context: Ctx, uuid: str, device: BlockDevice) -> BlockDevice:
        return self._attach.attach(context, uuid, device)

    def detach_volume(self, context: Ctx, uuid: str, volume_id: str) -> None:
        self._detach.detach(context, uuid, volume_id)

    def swap_volume(
        self, context: Ctx, uuid: str, volume_id: str, new: BlockDevice, migration: bool
    ) -> None:
        self._swap.swap(context, uuid, volume_id, new, migration)

    @retry
    def update_volume_attachment(
        self, context: Ctx, uuid: str, volume_id: str, delete_on_termination: bool
    ) -> None:
        with self._parts.cell_db.transaction() as session:
            device = common.find(servers.get(session, uuid, lock=True), volume_id)
            device.delete_on_termination = delete_on_termination
            block_devices.save(session, uuid, [device])

    def snapshot_volume_backed_server(self, context: Ctx, uuid: str) -> bool:
        return quiesce.begin(self._parts, context, self._note_snapshot(context, uuid))

    @retry
    def _note_snapshot(self, context: Ctx, uuid: str) -> Server:
        rule = state.RULES['snapshot_volume_backed']
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True, parts=False)
            state.check(context, server, rule)
            accept.note(session, context, server, rule, self._parts.conf.host)
            return server

    def volumes_are_snapshot(self, context: Ctx, uuid: str) -> None:
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, uuid, parts=False)
        quiesce.end(self._parts, context, server)

    def assist_volume_snapshot(self, context: Ctx, request: SnapshotWork) -> None:
        self._snapshots.begin(context, request)
