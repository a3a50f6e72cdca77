"""The action rebuild."""

from typing import Any

from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.block_device import root
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server import Rebuild as Wanted
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import HostWork, WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import names, rules
from kilonova.conductor.tasks import faults, layouts
from kilonova.conductor.tasks.phases import Changes, Job, Payload, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.db import keypairs, quotas, servers, types
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


class RebuildPayload(Payload, kw_only=True):
    """``vm_state``: what the server was, and is to be again."""

    wanted: Wanted
    vm_state: str = state.ACTIVE
    reimage: str | None = None


class Rebuild:
    """Endpoint, and the procedure."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        self._procedure = Procedure(
            parts,
            engine,
            'rebuild',
            (
                Phase[RebuildPayload](
                    name='rebuild',
                    event='rebuild_server compute_rebuild_instance',
                    work=_work,
                    ended=_ended,
                    breaks=True,
                ),
            ),
            payload=RebuildPayload,
        )

    def rebuild_server(self, context: Ctx, uuid: str, request: Wanted) -> Server:
        self._check_image(context, uuid, request)
        changes = self._changes(context, request)
        payload = RebuildPayload(context=faults.keep(context), rule='rebuild', wanted=request)
        image_id = request.image.id

        def accepting(session: Session, server: Server) -> None:
            layouts.check_rebuild(server, request.image)
            disk = root(server.block_devices)
            if disk is None or not disk.is_volume:
                rules.check_fits(server.flavor, request.image, request.zero_disk_allowed)
            else:
                rules.check_memory(server.flavor, request.image)
                rules.check_volume_size(request.image, disk)
                payload.reimage = image_id if request.reimage else None
                request.image.id = ''
            stopped = server.vm_state == state.STOPPED
            payload.vm_state = state.STOPPED if stopped else state.ACTIVE
            _change(session, server, request, changes)

        self._procedure.accept(context, uuid, payload, accepting)
        with self._parts.cell_db.reader() as session:
            return servers.get(session, uuid)

    def _check_image(self, context: Ctx, uuid: str, request: Wanted) -> None:
        """Raise ImageUnacceptable when filters keep such images away from the server's host."""
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, uuid)
        if server.host is None or request.image.id == server.image.id:
            return
        spec = RequestSpec(
            flavor=server.flavor,
            image=request.image,
            project_id=server.project_id,
            user_id=server.user_id,
            requested_host=server.host,
            requested_hypervisor_hostname=server.node,
        )
        try:
            self._parts.scheduler.check_rebuild(context, spec, self._parts.table_version())
        except exception.NoValidHost as error:
            LOG.info('Server %s is not rebuilt: %s', uuid, error)
            raise exception.ImageUnacceptable(
                image_id=request.image.id, reason="The server's host is not meant for such images."
            ) from error

    @retry
    def _changes(self, context: Ctx, request: Wanted) -> Changes:
        """Return the columns that change.  Raises KeypairNotFound, LimitExceeded."""
        changes: dict[str, Any] = dict(request.changes)
        with self._parts.api_db.reader() as session:
            if 'metadata' in changes or request.personality:
                conf, project = self._parts.conf, context.project_id or ''
                _, limits = quotas.limits(session, conf, project, context.user_id)
                rules.check_limits(conf, limits, changes.get('metadata', {}), request.personality)
            if 'key_name' in changes:
                name = changes['key_name']
                key = keypairs.get(session, context.user_id or '', name) if name else None
                changes['key_public'] = key.public_key if key else None
                changes['key_type'] = key.type if key else None
        return changes


def _change(session: Session, server: Server, request: Wanted, changes: Changes) -> None:
    """Write the new record; ``server`` becomes it."""
    image = request.image
    values = {
        **changes,
        'image': image,
        'kernel_id': image.properties.get('kernel_id'),
        'ramdisk_id': image.properties.get('ramdisk_id'),
        'fault': None,
        'progress': 0,
    }
    if 'hostname' in values:
        values['hostname'] = names.hostname(values['hostname'], server.uuid)
    servers.update(session, server.uuid, **values)
    for name, value in values.items():
        setattr(server, name, value)


def _work(job: Job[RebuildPayload]) -> HostWork:
    wanted = job.payload.wanted
    return work.Rebuild(
        admin_password=wanted.admin_password,
        personality=wanted.personality,
        preserve_ephemeral=wanted.preserve_ephemeral,
        power_on=job.payload.vm_state == state.ACTIVE,
        reimage=job.payload.reimage,
    )


def _ended(session: Session, job: Job[RebuildPayload], result: WorkResult) -> Changes:
    return {'vm_state': job.payload.vm_state, 'launched_at': types.utcnow()}
