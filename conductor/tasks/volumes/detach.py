"""Detaching a volume: announced in Cinder, taken from the guest, let go of."""

from typing import Any

from sqlalchemy.orm import Session

from kilonova.common import exception, volumes
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults
from kilonova.conductor.tasks.phases import Job, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.volumes import common
from kilonova.conductor.tasks.volumes.common import VolumePayload
from kilonova.db import block_devices

DetachJob = Job[VolumePayload]


class DetachVolume(common.VolumeTask):
    """The task ``detach_volume``."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        super().__init__(parts, engine)
        keep = Phase[VolumePayload](name='keep', run=self._keep)
        self.procedure = Procedure(
            parts,
            engine,
            'detach_volume',
            (
                Phase(name='announce', run=self.abandon),
                Phase(
                    name='detach',
                    event='compute_detach_volume',
                    work=lambda job: work.DetachVolume(device=job.payload.device),
                    run=self.without_host,
                    undo=(keep,),
                ),
                Phase(name='let go', run=self._let_go, ended=self._remove),
            ),
            payload=VolumePayload,
            exclusive=False,
        )

    def detach(self, context: Ctx, uuid: str, volume_id: str) -> None:
        # What is not known yet is filled in when the server's row is locked.
        payload = VolumePayload(
            context=faults.keep(context), rule='detach_volume', device=BlockDevice()
        )

        def enter(session: Session, server: Server) -> None:
            payload.device = self._find(session, server, volume_id)

        def agree(job: DetachJob) -> None:
            if job.server.vm_state != common.OFFLOADED:
                announce(self.parts, context, volume_id)

        self.begin(context, uuid, payload, enter, agree)

    def _find(self, session: Session, server: Server, volume_id: str) -> BlockDevice:
        device = common.find(server, volume_id)
        if device.is_root:
            raise exception.Invalid('Cannot detach a root device volume')
        common.check_host(self.parts, session, server)
        common.check_idle(session, server, volume_id)
        return device

    def _let_go(self, job: DetachJob) -> WorkResult | None:
        client = self.parts.volumes(None)
        volumes.detach(client, job.payload.device.attachment_id or '')
        return None

    def _remove(self, session: Session, job: DetachJob, result: WorkResult) -> dict[str, Any]:
        block_devices.remove(session, job.server.uuid, job.payload.device.uuid or '')
        return {}

    def _keep(self, job: DetachJob) -> WorkResult | None:
        self.clean_up(job)
        return None

    def clean_up(self, job: DetachJob) -> None:
        if job.server.vm_state != common.OFFLOADED:
            take_back(self.parts, job.payload.device.volume_id or '')


def announce(parts: Parts, context: Ctx, volume_id: str) -> None:
    """Tell Cinder that a volume is about to be detached.  Raises InvalidVolume."""
    try:
        parts.volumes(context).begin_detaching(volume_id)
    except exception.InvalidInput as error:
        raise exception.InvalidVolume(reason=error.message) from error


def take_back(parts: Parts, volume_id: str) -> None:
    """Tell Cinder that it is not."""
    try:
        parts.volumes(None).roll_detaching(volume_id)
    except (exception.VolumeNotFound, exception.InvalidInput) as error:
        common.LOG.info('Volume %s is not being detached: %s', volume_id, error)
