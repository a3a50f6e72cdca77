"""The bad end of a build: ERROR with a fault that says why, and nothing that stays claimed."""

import datetime

from oslo_log import log as logging

from kilonova.common.objects.block_device import volumes
from kilonova.common.objects.server import Fault
from kilonova.conductor import state
from kilonova.conductor.notify import tasks
from kilonova.conductor.operations import SELECT_TIMEOUT, Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults, sizes
from kilonova.conductor.tasks.work import Work
from kilonova.db import operations, servers
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


class BuildFailure:
    """Ends builds that no host could do."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts, self._engine = parts, engine

    def exhausted(self, work: Work, why: str | None = None) -> None:
        """Enough hosts have tried."""
        count, failed = len(work.payload.failed), work.payload.failed
        message = faults.RETRIES_EXCEEDED % (count, work.server.uuid, list(failed.values())[-1])
        self.end(work, message, '\n'.join([*work.payload.reasons, *([why] if why else [])]))

    def end(
        self,
        work: Work,
        message: str,
        details: str,
        *,
        code: int = 500,
        host: str | None = None,
        claimed: bool = True,
        event: str | None = None,
    ) -> bool:
        """ERROR with a fault; what is claimed is given back.  False: the fence is old.

        ``event``: the step that failed, where none is open.
        """
        fault = faults.make(message, details, code, host)
        claimed = claimed or bool(volumes(work.server.block_devices))
        until = self._parts.later(self._parts.conf.operations.lease + SELECT_TIMEOUT)
        if not self._record_failure(work, fault, until if claimed else None, event):
            return False
        LOG.warning('Build of server %s failed: %s', work.server.uuid, details)
        if host is None:  # no host has said it
            tasks.failed(
                self._parts,
                work.context,
                'build_instances',
                work.server.uuid,
                work.payload.spec,
                state.ERROR,
                message,
                details,
            )
        if claimed:
            late = work.operation.step == operations.SCHEDULING and work.operation.attempt > 1
            self._engine.release(work.operation.id, work.server.uuid, again=late)
        else:
            sizes.set_aside(self._parts, work.server.uuid)
        return True

    @retry
    def _record_failure(
        self,
        work: Work,
        fault: Fault,
        release_at: datetime.datetime | None,
        event: str | None,
    ) -> bool:
        with self._parts.cell_db.transaction() as session:
            if not servers.update(
                session,
                work.server.uuid,
                work.operation.fence,
                vm_state=state.ERROR,
                task_state=None,
                host=None,
                node=None,
                fault=fault,
                operation=None,
            ):
                return False
            if event is not None:
                operations.note_event(
                    session,
                    work.operation.id,
                    event,
                    self._parts.conf.host,
                    'Error',
                    fault.details,
                )
            operations.finish(
                session,
                work.operation.id,
                operations.FAILED,
                fault.message,
                release_at=release_at,
                details=fault.details,
            )
        return True
