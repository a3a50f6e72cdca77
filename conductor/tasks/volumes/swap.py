"""Swapping volumes: the guest goes on with another one that has the same content."""

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from kilonova.common import exception, volumes
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import reserve
from kilonova.conductor.tasks import faults
from kilonova.conductor.tasks.phases import Job, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.volumes import common, detach
from kilonova.conductor.tasks.volumes.common import VolumePayload
from kilonova.db import block_devices


class SwapPayload(VolumePayload, kw_only=True):
    """``new`` takes the place of ``device``; ``migration``: it is Cinder that moves the volume."""

    new: BlockDevice
    migration: bool = False


SwapJob = Job[SwapPayload]


class SwapVolume(common.VolumeTask):
    """The task ``swap_volume``."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        super().__init__(parts, engine)
        keep = Phase[SwapPayload](name='keep', run=self._keep)
        self.procedure = Procedure(
            parts,
            engine,
            'swap_volume',
            (
                Phase(name='reserve', run=self.abandon),
                Phase(
                    name='swap',
                    event='compute_swap_volume',
                    work=lambda job: work.SwapVolume(old=job.payload.device, new=job.payload.new),
                    run=self.without_host,
                    ended=self._swapped,
                    undo=(keep,),
                ),
                Phase(name='settle', run=self._settle, ended=self._record),
            ),
            payload=SwapPayload,
            exclusive=False,
        )

    def swap(
        self, context: Ctx, uuid: str, old_volume_id: str, new: BlockDevice, migration: bool
    ) -> None:
        payload = SwapPayload(
            context=faults.keep(context),
            rule='swap_volume',
            device=BlockDevice(),
            new=new,
            migration=migration,
        )

        def enter(session: Session, server: Server) -> None:
            device = common.find(server, old_volume_id)
            common.check_host(self.parts, session, server)
            common.check_idle(session, server, old_volume_id)
            payload.device = device
            payload.new = msgspec.structs.replace(
                device,
                volume_id=new.volume_id,
                volume_size=new.volume_size,
                multiattach=new.multiattach,
                attachment_id=None,
                connection_info=None,
            )

        def agree(job: SwapJob) -> None:
            detach.announce(self.parts, context, old_volume_id)
            client = self.parts.volumes(context)
            try:
                attachment = reserve.reserve(client, new.volume_id or '', uuid)
            except (exception.Invalid, exception.NotFound, exception.Forbidden):
                detach.take_back(self.parts, old_volume_id)
                raise
            job.payload.new.attachment_id = attachment

        self.begin(context, uuid, payload, enter, agree)

    def _swapped(self, session: Session, job: SwapJob, result: WorkResult) -> dict[str, Any]:
        job.payload.new = msgspec.convert(result.values['device'], BlockDevice)
        return {}

    def _settle(self, job: SwapJob) -> WorkResult:
        """Complete the new attachment, end the old one; Cinder may keep the old id."""
        client, payload = self.parts.volumes(None), job.payload
        new_id = payload.new.volume_id or ''
        common.complete(self.parts, payload.new.attachment_id or '')
        volumes.detach(client, payload.device.attachment_id or '')
        if payload.migration:
            new_id = client.finish_swap(payload.device.volume_id or '', new_id, error=False)
        return WorkResult(values={'volume_id': new_id})

    def _record(self, session: Session, job: SwapJob, result: WorkResult) -> dict[str, Any]:
        device = job.payload.new
        device.volume_id = result.values['volume_id']
        block_devices.save(session, job.server.uuid, [device])
        return {}

    def _keep(self, job: SwapJob) -> WorkResult | None:
        self.clean_up(job)
        return None

    def clean_up(self, job: SwapJob) -> None:
        payload = job.payload
        old_id, new_id = payload.device.volume_id or '', payload.new.volume_id or ''
        common.let_go(self.parts, job.server.uuid, new_id)
        detach.take_back(self.parts, old_id)
        if payload.migration:
            self.parts.volumes(None).finish_swap(old_id, new_id, error=True)
