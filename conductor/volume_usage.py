"""Keeps what volumes have moved, and says it on the bus."""

import sqlalchemy as sa
from oslo_log import log as logging

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.notifications.resources import VolumeUsagePayload
from kilonova.common.objects.volume_usage import VolumeCounters, VolumeUsage
from kilonova.db import errors, types, volume_usage
from kilonova.db.engine import Database, retry

LOG = logging.getLogger(__name__)


class VolumeUsages:
    """Endpoint."""

    def __init__(self, cell_db: Database, notifier: Notifier | None = None) -> None:
        self._db, self._notifier = cell_db, notifier

    def report_volume_usage(
        self, context: Ctx, host: str, usages: list[VolumeUsage], ended: bool = False
    ) -> None:
        try:
            totals = self._keep(usages, ended)
        except sa.exc.IntegrityError as error:
            if not errors.is_duplicate(error):
                raise
            totals = self._keep(usages, ended)  # two first reports at once: now the row is there
        for one in usages:
            self._say(context, host, one, totals[one.volume_id])

    @retry
    def _keep(self, usages: list[VolumeUsage], ended: bool) -> dict[str, VolumeCounters]:
        with self._db.transaction() as session:
            return volume_usage.add(session, usages, ended)

    def _say(self, context: Ctx, host: str, usage: VolumeUsage, total: VolumeCounters) -> None:
        """What cannot be said must not fail what is done."""
        if self._notifier is None or not self._notifier.is_on:
            return
        payload = VolumeUsagePayload(
            volume_id=usage.volume_id,
            project_id=usage.project_id,
            user_id=usage.user_id,
            instance_uuid=usage.instance_uuid,
            availability_zone=usage.availability_zone,
            last_refreshed=types.utcnow(),
            reads=total.reads,
            read_bytes=total.read_bytes,
            writes=total.writes,
            write_bytes=total.write_bytes,
        )
        try:
            self._notifier.send(context, 'volume.usage', None, host, payload)
            self._notifier.send_plain(context, f'compute.{host}', 'volume.usage', _plain(payload))
        except Exception:
            LOG.exception('The usage of volume %s is not announced', usage.volume_id)


def _plain(payload: VolumeUsagePayload) -> dict[str, object]:
    """Return it flat, with two of the names as they were of old."""
    old = {'project_id': 'tenant_id', 'instance_uuid': 'instance_id'}
    values = {old.get(name, name): getattr(payload, name) for name in payload.__struct_fields__}
    return values | {'last_refreshed': str(payload.last_refreshed)}
