"""What Cinder asks for: a guest is to see its volume's new size, or to help with a snapshot."""

from typing import Any

from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults
from kilonova.conductor.tasks.phases import Job, Payload, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.volumes import common
from kilonova.conductor.tasks.volumes.common import VolumePayload
from kilonova.db import block_devices, servers
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


class ExtendVolume:
    """The task ``extend_volume``."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        refuse = Phase[VolumePayload](name='refuse', run=lambda job: self._answer(job, error=True))
        self._procedure = Procedure(
            parts,
            engine,
            'extend_volume',
            (
                Phase(name='look', run=self._look, ended=self._save),
                Phase(
                    name='extend',
                    event='compute_extend_volume',
                    work=lambda job: work.ExtendVolume(device=job.payload.device),
                    undo=(refuse,),
                ),
                Phase(name='answer', run=self._answer),
            ),
            payload=VolumePayload,
            exclusive=False,
        )

    def extend(self, context: Ctx, uuid: str, volume_id: str) -> bool:
        """Begin; false when the server has no such volume, or cannot do it now."""
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, uuid)
        try:
            device = common.find(server, volume_id)
            payload = VolumePayload(
                context=faults.keep(context), rule='extend_volume', device=device
            )
            self._procedure.accept(context, uuid, payload)
        except (exception.NotFound, exception.Conflict) as error:
            LOG.warning('Volume %s of server %s is not extended: %s', volume_id, uuid, error)
            return False
        return True

    def _look(self, job: Job[VolumePayload]) -> WorkResult:
        volume = self._parts.volumes(None).show_volume(job.payload.device.volume_id or '')
        return WorkResult(values={'size': int(volume['size'])})

    def _save(
        self, session: Session, job: Job[VolumePayload], result: WorkResult
    ) -> dict[str, Any]:
        job.payload.device.volume_size = result.values['size']
        block_devices.save(session, job.server.uuid, [job.payload.device])
        return {}

    def _answer(self, job: Job[VolumePayload], error: bool = False) -> WorkResult | None:
        """Tell Cinder, if it waits for that."""
        client, volume_id = self._parts.volumes(None), job.payload.device.volume_id or ''
        if client.show_volume(volume_id)['status'] == 'extending':
            client.finish_extend(volume_id, error)
        return None


class SnapshotPayload(Payload, kw_only=True):
    work: work.SnapshotVolume


class AssistedSnapshots:
    """The tasks ``volume_snapshot_create`` and ``volume_snapshot_delete``."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        self._procedures = {}
        for action in ('volume_snapshot_create', 'volume_snapshot_delete'):
            refuse = Phase[SnapshotPayload](name='refuse', run=self._refuse)
            self._procedures[action] = Procedure(
                parts,
                engine,
                action,
                (
                    Phase(
                        name='snapshot',
                        event=f'compute_{action}',
                        work=lambda job: job.payload.work,
                        undo=(refuse,),
                    ),
                    Phase(name='answer', run=self._answer),
                ),
                payload=SnapshotPayload,
                exclusive=False,
            )

    def begin(self, context: Ctx, asked: work.SnapshotVolume) -> None:
        """Raises VolumeBDMNotFound, VolumeBDMIsMultiAttach, InstanceInvalidState, InstanceNotReady."""
        action = 'volume_snapshot_delete' if asked.delete else 'volume_snapshot_create'
        payload = SnapshotPayload(context=faults.keep(context), rule=action, work=asked)
        self._procedures[action].accept(context, self._owner(asked.volume_id), payload, self._check)

    @retry
    def _owner(self, volume_id: str) -> str:
        with self._parts.cell_db.reader() as session:
            found = block_devices.servers_of_volume(session, volume_id)
        if not found:
            raise exception.VolumeBDMNotFound(volume_id=volume_id)
        if len(found) > 1:
            raise exception.VolumeBDMIsMultiAttach(volume_id=volume_id)
        return found[0]

    def _check(self, session: Session, server: Server) -> None:
        common.check_host(self._parts, session, server)

    def _answer(self, job: Job[SnapshotPayload]) -> WorkResult | None:
        """Cinder goes on when a snapshot is at 90 percent, or when it is being deleted."""
        asked = job.payload.work
        status = 'deleting' if asked.delete else 'creating'
        self._parts.volumes(None).update_snapshot_status(asked.snapshot_id, status, '90%')
        return None

    def _refuse(self, job: Job[SnapshotPayload]) -> WorkResult | None:
        asked = job.payload.work
        status = 'error_deleting' if asked.delete else 'error'
        self._parts.volumes(None).update_snapshot_status(asked.snapshot_id, status, '90%')
        return None
