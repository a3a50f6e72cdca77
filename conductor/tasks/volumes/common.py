"""What attaching, detaching and swapping volumes have in common.

Each begins with something that Cinder has to agree to while the user waits.  The operation
is recorded first, in a phase of its own, so that a conductor that dies meanwhile leaves a
note of what may have been reserved; who takes the operation over only cleans up.
"""

from collections.abc import Callable
from typing import Any

from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception, volumes
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults
from kilonova.conductor.tasks.phases import Job, Payload
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.db import operations
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)

OFFLOADED = 'shelved_offloaded'
ACTIONS = ('attach_volume', 'detach_volume', 'swap_volume')


class VolumePayload(Payload, kw_only=True):
    """``device``: what is attached, or is to be."""

    device: BlockDevice


def find(server: Server, volume_id: str) -> BlockDevice:
    """Return a server's device for a volume.  Raises VolumeBDMNotFound."""
    for device in server.block_devices:
        if device.volume_id == volume_id:
            return device
    raise exception.VolumeBDMNotFound(
        f'Instance {server.uuid} is not attached to volume {volume_id}'
    )


def check_host(parts: Parts, session: Session, server: Server) -> None:
    """Raises Conflict when a server's host is down."""
    if server.host and not parts.is_up(session, server.host):
        raise exception.Conflict(faults.HOST_DOWN % server.host)


def check_idle(session: Session, server: Server, volume_id: str) -> None:
    """Raises InvalidVolume while something is done with a volume of a server."""
    running = operations.payloads(session, server.uuid, ACTIONS)
    if any(volume_id in payload for payload in running):
        raise exception.InvalidVolume(reason=f'volume {volume_id} is being worked on')


def let_go(parts: Parts, server_uuid: str, volume_id: str) -> None:
    """Delete the attachments of a volume to a server, recorded or not."""
    client = parts.volumes(None)
    for attachment in client.attachments_of(server_uuid):
        if attachment['volume_id'] == volume_id:
            volumes.detach(client, attachment['id'])


def complete(parts: Parts, attachment_id: str) -> None:
    """Tell Cinder that the guest has a volume; an earlier attempt may have done so."""
    client = parts.volumes(None)
    if client.show_attachment(attachment_id)['status'] != 'attached':
        client.complete_attachment(attachment_id)


def interrupted() -> exception.Conflict:
    return exception.Conflict('The request was interrupted before it was accepted.')


class VolumeTask:
    """Base of the three; ``procedure`` is what a subclass has built."""

    procedure: Procedure[Any]

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self.parts, self.engine = parts, engine

    def begin(
        self,
        context: Ctx,
        uuid: str,
        payload: Any,
        accepting: Callable[[Session, Server], None],
        agree: Callable[[Job[Any]], None],
    ) -> Job[Any]:
        """Record the operation, have Cinder agree, and go on; what Cinder refuses never was.

        When ``agree`` raises an error below 500, nothing of it is left in Cinder.
        """
        job = self.procedure.enter(context, uuid, payload, accepting)
        with self.engine.keeping(job.operation.id):
            try:
                agree(job)
            except exception.KilonovaError as error:
                self._take_back(job, refused=error.code < 500)
                raise
            try:
                self.procedure.leave(job, WorkResult())
            except exception.InstanceNotFound:
                # It was deleted meanwhile, and who did that may not have seen the reservation.
                self.clean_up(job)
                raise
        return job

    def clean_up(self, job: Job[Any]) -> None:
        """Undo in Cinder what ``agree`` may have done.  Raises FellowServiceError."""
        raise NotImplementedError

    def forget(self, session: Session, job: Job[Any]) -> None:
        """Undo what ``accepting`` has recorded."""

    def _take_back(self, job: Job[Any], refused: bool) -> None:
        """What was refused has changed nothing; of what failed nobody knows."""
        try:
            if not refused:
                self.clean_up(job)
        except exception.KilonovaError as error:
            LOG.warning(
                '%s of %s is undone later: %s', job.operation.action, job.server.uuid, error
            )
            return
        self._erase(job)

    @retry
    def _erase(self, job: Job[Any]) -> None:
        with self.parts.cell_db.transaction() as session:
            self.forget(session, job)
            operations.erase(session, job.operation.id)

    def abandon(self, job: Job[Any]) -> WorkResult | None:
        """Somebody died between the record and Cinder's consent."""
        self.clean_up(job)
        raise interrupted()

    def failed(self, session: Session, job: Job[Any], result: WorkResult) -> dict[str, Any]:
        self.forget(session, job)
        return {}

    def without_host(self, job: Job[Any]) -> WorkResult | None:
        """A server that is shelved away has no guest; any other one needs its host."""
        if job.server.host is not None:
            raise exception.Conflict(faults.HOST_DOWN % job.server.host)
        return None
