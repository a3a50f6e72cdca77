"""Says what operations do: each step that begins or ends is one notification, or several."""

from typing import Any

import msgspec
from oslo_config import cfg
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.notifications import servers as payloads
from kilonova.common.notifications.events import EVENTS
from kilonova.common.notifications.hosts import ExceptionPayload
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.objects.server import Server
from kilonova.conductor.notify import plain, servers
from kilonova.db import operations
from kilonova.db import servers as server_rows
from kilonova.db.happenings import Began, Changed, Ended, Happening
from kilonova.db.operations import Operation

LOG = logging.getLogger(__name__)

# event of an instance action -> what it is called on the bus, the outer one first
STEPS: dict[str, tuple[str, ...]] = {
    'compute__do_build_and_run_instance': ('create',),
    'compute_terminate_instance': ('delete', 'shutdown'),
    'compute_soft_delete_instance': ('soft_delete',),
    'compute_restore_instance': ('restore',),
    'compute_start_instance': ('power_on',),
    'compute_stop_instance': ('power_off',),
    'compute_reboot_instance': ('reboot',),
    'compute_pause_instance': ('pause',),
    'compute_unpause_instance': ('unpause',),
    'compute_suspend_instance': ('suspend',),
    'compute_resume_instance': ('resume',),
    'compute_rescue_instance': ('rescue',),
    'compute_unrescue_instance': ('unrescue',),
    'compute_trigger_crash_dump': ('trigger_crash_dump',),
    'compute_snapshot_instance': ('snapshot',),
    'compute_backup_instance': ('snapshot',),
    'compute_rebuild_instance': ('rebuild',),
    'compute_prep_resize': ('resize_prep',),
    'compute_resize_instance': ('resize',),
    'compute_finish_resize': ('resize_finish',),
    'compute_confirm_resize': ('resize_confirm',),
    'compute_revert_resize': ('resize_revert',),
    'compute_finish_revert_resize': ('resize_revert',),
    'compute_shelve_instance': ('shelve',),
    'compute_shelve_offload_instance': ('shelve_offload',),
    'compute_unshelve_instance': ('unshelve',),
    'compute_attach_volume': ('volume_attach',),
    'compute_detach_volume': ('volume_detach',),
    'compute_swap_volume': ('volume_swap',),
    'compute_attach_interface': ('interface_attach',),
    'compute_detach_interface': ('interface_detach',),
    'compute_allow_share': ('share_attach',),
    'compute_deny_share': ('share_detach',),
    'compute_pre_live_migration': ('live_migration_pre',),
    'compute_post_live_migration_at_destination': (
        'live_migration_post',
        'live_migration_post_dest',
    ),
    'compute_rollback_live_migration_at_destination': (
        'live_migration_rollback',
        'live_migration_rollback_dest',
    ),
    'compute_live_migration_abort': ('live_migration_abort',),
    'compute_live_migration_force_complete': ('live_migration_force_complete',),
    'rebuild_server': ('evacuate',),
    'api_lock': ('lock',),
    'api_unlock': ('unlock',),
}
# Going back from a resize is one thing in two steps.
SILENT = {('compute_revert_resize', 'end'), ('compute_finish_revert_resize', 'start')}
STATES = ('vm_state', 'task_state')
REBUILD = 'compute_rebuild_instance'
SCHEDULED = 'rebuild_server'


class Told(msgspec.Struct):
    """One happening, with the records as they were committed."""

    happening: Happening
    server: Server
    operation: Operation | None = None


class Watch:
    """Listens to the cell's database."""

    def __init__(self, conf: cfg.ConfigOpts, notifier: Notifier) -> None:
        self._conf, self._notifier = conf, notifier

    def read(self, session: Session, happened: list[Happening]) -> list[Told]:
        """Look the servers up; several happenings of one server see the same record."""
        found: dict[str, Server] = {}
        told = []
        for one in happened:
            operation = None
            if isinstance(one, Changed):
                uuid = one.uuid
            else:
                operation = operations.get(session, one.operation)
                if operation is None:
                    continue
                uuid = operation.instance_uuid
            if uuid not in found:
                try:
                    found[uuid] = server_rows.get(session, uuid, deleted=None)
                except exception.InstanceNotFound:
                    continue
            told.append(Told(one, found[uuid], operation))
        return told

    def tell(self, told: list[Any]) -> None:
        """Send; what cannot be said must not fail what has happened."""
        for one in told:
            try:
                if isinstance(one.happening, Changed):
                    self._changed(one.happening, one.server)
                else:
                    self._step(one)
            except Exception:
                LOG.exception('%s is not announced', one.happening)

    # -- steps of operations

    def _step(self, told: Told) -> None:
        assert isinstance(told.happening, (Began, Ended)) and told.operation is not None
        if isinstance(told.happening, Began) and told.happening.event == REBUILD:
            name = 'instance.rebuild_scheduled'
            self._send(told, name, EVENTS[name].payload, None)
        names = STEPS.get(told.happening.event, ())
        if told.happening.event == SCHEDULED and told.operation.action != 'evacuate':
            names = ()  # a server that is made anew where it is
        for name in names if isinstance(told.happening, Began) else reversed(names):
            event = EVENTS[f'instance.{name}']
            phase = _phase(told.happening, event.phases)
            if phase is not None and (told.happening.event, phase) not in SILENT:
                self._send(told, event.name, event.payload, phase or None)

    def _send(self, told: Told, name: str, kind: Any, phase: str | None) -> None:
        assert told.operation is not None
        server, context = told.server, _context(told.operation)
        values = servers.common(self._conf, server, _request(context))
        if issubclass(kind, payloads.InstanceActionPayload):
            values['fault'] = self._fault(told) if phase == 'error' else None
        values |= self._more(kind, told)
        host = server.host or self._conf.host
        self._notifier.send(context, name, phase, host, kind(**values))
        full = f'{name}.{phase}' if phase else name
        plain.server(self._notifier, context, full, server, host)

    @staticmethod
    def _fault(told: Told) -> ExceptionPayload:
        details = told.happening.details if isinstance(told.happening, Ended) else None
        return servers.fault(told.server.fault, details)

    def _more(self, kind: Any, told: Told) -> dict[str, Any]:
        """Return what only this kind of payload has."""
        if kind is payloads.InstanceCreatePayload:
            return servers.of_create(self._conf, told.server)
        if kind is payloads.InstanceActionRebuildPayload:
            return {'trusted_image_certificates': told.server.trusted_image_certificates}
        carried = _carried(told)
        if kind is payloads.InstanceActionResizePrepPayload:
            return {'new_flavor': servers.new_flavor(carried)}
        return {
            field: _find(carried, source)
            for field, source in CARRIED.get(kind, {}).items()
        }  # fmt: skip

    # -- changes of states and names

    def _changed(self, change: Changed, server: Server) -> None:
        """Say ``instance.update`` as ``notify_on_state_change`` wants it; a new name always."""
        new = {name: getattr(server, name) for name in change.old}
        differs = {name for name in change.old if change.old[name] != new[name]}
        wanted = self._conf.notifications.notify_on_state_change
        watched = {'vm_state': {'vm_state'}, 'vm_and_task_state': set(STATES)}.get(wanted, set())
        if not differs & (watched | {'name'}):
            return
        context = RequestContext(user_id=server.user_id, project_id=server.project_id)
        values = servers.common(self._conf, server, _request(context))
        payload = payloads.InstanceUpdatePayload(
            **values, **servers.of_update(self._conf, server, change.old)
        )
        self._notifier.send(context, 'instance.update', None, self._conf.host, payload)
        plain.server(self._notifier, context, 'instance.update', server, self._conf.host)


# payload -> its field -> the word that operations carry it under
CARRIED: dict[Any, dict[str, str]] = {
    payloads.InstanceActionVolumePayload: {'volume_id': 'volume_id'},
    payloads.InstanceActionVolumeSwapPayload: {
        'old_volume_id': 'device.volume_id', 'new_volume_id': 'new.volume_id',
    },
    payloads.InstanceActionSharePayload: {'share_id': 'share_id'},
    payloads.InstanceActionSnapshotPayload: {'snapshot_image_id': 'image_id'},
    payloads.InstanceActionRescuePayload: {'rescue_image_ref': 'image_id'},
}  # fmt: skip


def _phase(happening: Began | Ended, phases: tuple[str, ...]) -> str | None:
    """Return the phase to say ('': none has a name); None: nothing is to be said."""
    if not phases:
        return '' if isinstance(happening, Ended) and happening.result == 'Success' else None
    if isinstance(happening, Began):
        return 'start'
    phase = 'end' if happening.result == 'Success' else 'error'
    return phase if phase in phases else None


def _context(operation: Operation) -> RequestContext:
    return RequestContext(
        user_id=operation.user_id,
        project_id=operation.project_id,
        request_id=operation.request_id,
    )


def _request(context: RequestContext) -> dict[str, Any]:
    return {
        'request_id': context.request_id,
        'action_initiator_user': context.user_id,
        'action_initiator_project': context.project_id,
    }


def _carried(told: Told) -> Any:
    # An operation that has ended carries nothing any more.
    payload = told.happening.payload if isinstance(told.happening, Ended) else ''
    payload = payload or (told.operation.payload if told.operation else '')
    return msgspec.json.decode(payload) if payload else {}


def _find(values: Any, name: str) -> Any:
    """Return the first value of that name, wherever in what an operation carries.

    ``device.volume_id`` is the ``volume_id`` of the first ``device``.
    """
    outer, _dot, inner_name = name.partition('.')
    if inner_name:
        return _find(_find(values, outer), inner_name)
    if isinstance(values, dict):
        if name in values:
            return values[name]
        found = (_find(inner, name) for inner in values.values())
        return next((value for value in found if value is not None), None)
    return None
