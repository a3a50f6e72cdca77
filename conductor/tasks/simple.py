"""Actions that one host does in one piece of work: power, pause, suspend, rescue …"""

from collections.abc import Callable

from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import HostWork, WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults, shares, waiting
from kilonova.conductor.tasks.phases import Changes, Job, Payload, Phase, nothing
from kilonova.conductor.tasks.procedure import Procedure


class SimplePayload(Payload, kw_only=True):
    """``work``: what the host is to do."""

    work: HostWork


def _work(job: Job[SimplePayload]) -> HostWork:
    return job.payload.work


def _runs(session: Session, job: Job[SimplePayload], result: WorkResult) -> Changes:
    shares.power_changed(session, job.server, running=True)
    return {}


def _stands(session: Session, job: Job[SimplePayload], result: WorkResult) -> Changes:
    shares.power_changed(session, job.server, running=False)
    return {}


def _does_not_run(session: Session, job: Job[SimplePayload], failure: WorkResult) -> Changes:
    """A guest that was to be rebooted and is off, or nobody knows, is not what it was."""
    known = failure.power_state
    return {} if known in (None, RUNNING) else {'vm_state': state.ERROR}


ENDED = {'start': _runs, 'reboot': _runs, 'stop': _stands}
"""What else is recorded when an action has ended well."""

FAILED = {'reboot': _does_not_run}
"""What is recorded when it has not."""

ACTIONS = {
    'start': 'compute_start_instance',
    'stop': 'compute_stop_instance',
    'reboot': 'compute_reboot_instance',
    'pause': 'compute_pause_instance',
    'unpause': 'compute_unpause_instance',
    'suspend': 'compute_suspend_instance',
    'resume': 'compute_resume_instance',
    'rescue': 'compute_rescue_instance',
    'unrescue': 'compute_unrescue_instance',
    'changePassword': 'compute_set_admin_password',
    'createImage': 'compute_snapshot_instance',
    'createBackup': 'compute_backup_instance',
    'trigger_crash_dump': 'compute_trigger_crash_dump',
}
"""Actions with the events that they show."""

RUNNING = 1
"""The power state."""
PATIENCE = 60
"""Seconds that somebody waits for the end of an action."""

PASSWORD_NOT_SUPPORTED = 'Unable to set password on instance'


class SimpleActions:
    """Endpoint, and the procedures."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        self._procedures = {
            action: Procedure(
                parts,
                engine,
                action,
                (Phase(name=action, event=event, work=_work, ended=ENDED.get(action, nothing)),),
                payload=SimplePayload,
                failed=FAILED.get(action, nothing),
            )
            for action, event in ACTIONS.items()
        }

    def _accept(
        self,
        context: Ctx,
        uuid: str,
        action: str,
        host_work: HostWork,
        rule: str = '',
        accepting: Callable[[Session, Server], None] | None = None,
    ) -> str:
        payload = SimplePayload(context=faults.keep(context), rule=rule or action, work=host_work)
        return self._procedures[action].accept(context, uuid, payload, accepting)

    def start_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'start', work.Start())

    def stop_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'stop', work.Stop())

    def reboot_server(self, context: Ctx, uuid: str, kind: str) -> None:
        self._accept(context, uuid, 'reboot', work.Reboot(how=kind), f'reboot {kind}')

    def pause_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'pause', work.Pause())

    def unpause_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'unpause', work.Unpause())

    def suspend_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'suspend', work.Suspend())

    def resume_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'resume', work.Resume())

    def rescue_server(
        self,
        context: Ctx,
        uuid: str,
        admin_password: str,
        image_id: str | None,
        volume_backed: bool,
    ) -> None:
        def check(session: Session, server: Server) -> None:
            if not volume_backed and server.boots_from_volume:
                raise exception.InstanceNotRescuable(
                    instance_id=uuid, reason='Cannot rescue a volume-backed instance'
                )

        host_work = work.Rescue(image_id=image_id, admin_password=admin_password)
        self._accept(context, uuid, 'rescue', host_work, accepting=check)

    def unrescue_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'unrescue', work.Unrescue())

    def set_admin_password(self, context: Ctx, uuid: str, password: str) -> None:
        """Who asks is told whether the guest could do it."""
        host_work = work.SetPassword(password)
        operation = self._accept(context, uuid, 'changePassword', host_work, 'set_admin_password')
        try:
            waiting.wait_for(self._parts, operation, PATIENCE)
        except exception.NotSupported as error:
            raise exception.NotSupported(PASSWORD_NOT_SUPPORTED) from error
        except (exception.Invalid, exception.OperationFailed) as error:
            raise exception.InstancePasswordSetFailed(
                instance=uuid, reason=error.message
            ) from error

    def trigger_crash_dump(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'trigger_crash_dump', work.CrashDump())

    def snapshot_server(self, context: Ctx, uuid: str, image_id: str) -> None:
        host_work = work.Snapshot(image_id=image_id)
        self._accept(context, uuid, 'createImage', host_work, 'snapshot')

    def backup_server(
        self, context: Ctx, uuid: str, image_id: str, backup_type: str, rotation: int
    ) -> None:
        host_work = work.Snapshot(image_id=image_id, rotation=rotation, backup_type=backup_type)
        self._accept(context, uuid, 'createBackup', host_work, 'backup')
