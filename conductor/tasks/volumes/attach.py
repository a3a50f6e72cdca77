"""Attaching a volume: reserved, connected and given to the guest, completed."""

import uuid as uuid_module
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import devices, reserve
from kilonova.conductor.tasks import faults
from kilonova.conductor.tasks.phases import Job, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.volumes import common
from kilonova.conductor.tasks.volumes.common import VolumePayload
from kilonova.db import block_devices

AttachJob = Job[VolumePayload]


class AttachVolume(common.VolumeTask):
    """The task ``attach_volume``."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        super().__init__(parts, engine)
        let_go = Phase[VolumePayload](name='let go', run=self._let_go)
        self.procedure = Procedure(
            parts,
            engine,
            'attach_volume',
            (
                Phase(name='reserve', run=self.abandon, ended=self._save),
                Phase(
                    name='attach',
                    event='compute_attach_volume',
                    work=lambda job: work.AttachVolume(device=job.payload.device),
                    run=self.without_host,
                    ended=self._attached,
                    undo=(let_go,),
                ),
                Phase(name='complete', run=self._complete, undo=(let_go,)),
            ),
            payload=VolumePayload,
            failed=self.failed,
            exclusive=False,
        )

    def attach(self, context: Ctx, uuid: str, device: BlockDevice) -> BlockDevice:
        """Return the device with its name, as soon as the volume is reserved."""
        payload = VolumePayload(context=faults.keep(context), rule='attach_volume', device=device)

        def agree(job: AttachJob) -> None:
            client = self.parts.volumes(context)
            device.attachment_id = reserve.reserve(client, device.volume_id or '', uuid)

        def enter(session: Session, server: Server) -> None:
            self._enter(session, server, device)

        self.begin(context, uuid, payload, enter, agree)
        return device

    def _enter(self, session: Session, server: Server, device: BlockDevice) -> None:
        if server.vm_state == common.OFFLOADED:
            if device.tag:
                raise exception.VolumeTaggedAttachToShelvedNotSupported()
            if device.multiattach:
                raise exception.MultiattachToShelvedNotSupported()
        known = server.block_devices
        if any(one.volume_id == device.volume_id for one in known):
            raise exception.InvalidVolume(reason=f'volume {device.volume_id} already attached')
        most: int = self.parts.conf.compute.max_disk_devices_to_attach
        if 0 <= most <= len(known):
            raise exception.TooManyDiskDevices(maximum=most)
        if device.device_name is None:
            device.device_name = devices.next_name(known, device, server.image)
        elif any(one.device_name == device.device_name for one in known):
            raise exception.DevicePathInUse(path=device.device_name)
        device.uuid = str(uuid_module.uuid4())
        block_devices.add(session, server.uuid, [device])

    def _save(self, session: Session, job: AttachJob, result: WorkResult) -> dict[str, Any]:
        block_devices.save(session, job.server.uuid, [job.payload.device])
        return {}

    def _attached(self, session: Session, job: AttachJob, result: WorkResult) -> dict[str, Any]:
        """The host tells how it reaches the volume."""
        if 'device' in result.values:
            job.payload.device = msgspec.convert(result.values['device'], BlockDevice)
        return self._save(session, job, result)

    def _complete(self, job: AttachJob) -> WorkResult | None:
        # Without a host, too: clients wait for a volume that is in use.
        common.complete(self.parts, job.payload.device.attachment_id or '')
        return None

    def _let_go(self, job: AttachJob) -> WorkResult | None:
        self.clean_up(job)
        return None

    def clean_up(self, job: AttachJob) -> None:
        common.let_go(self.parts, job.server.uuid, job.payload.device.volume_id or '')

    def forget(self, session: Session, job: AttachJob) -> None:
        block_devices.remove(session, job.server.uuid, job.payload.device.uuid or '')
