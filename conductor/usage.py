"""What projects have used, and the regular audit of it."""

import datetime
import time
from collections.abc import Iterable

import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.context import get_admin_context
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.notifications.servers import AuditPeriodPayload, InstanceExistsPayload
from kilonova.common.objects.usage import ProjectUsage, ServerUsage, UsageAudit, UsagePage
from kilonova.conductor import audit_period
from kilonova.conductor.notify import plain
from kilonova.conductor.notify import servers as describe
from kilonova.db import errors, hosts, servers, types, usage
from kilonova.db.engine import Database, retry
from kilonova.db.models.cell import ServiceRow, TaskLogRow

FORGOTTEN = datetime.timedelta(minutes=10)
"""An audit that has not ended after so long was left by a conductor that died."""


class Usage:
    """Endpoint."""

    def __init__(
        self, conf: cfg.ConfigOpts, cell_db: Database, notifier: Notifier | None = None
    ) -> None:
        self._conf, self._db, self._notifier = conf, cell_db, notifier

    @retry
    def get_usage(
        self,
        context: Ctx,
        start: datetime.datetime,
        end: datetime.datetime,
        project_id: str | None = None,
        detailed: bool = False,
        limit: int | None = None,
        marker: str | None = None,
    ) -> UsagePage:
        with self._db.reader() as session:
            after = None
            if marker is not None:
                after = (usage.project_of(session, marker, project_id), marker)
            found = usage.servers(
                session, start, end, project_id=project_id, limit=limit, after=after
            )
            return add_up(found, start, end, detailed)

    @retry
    def get_usage_audit(self, context: Ctx, before: datetime.datetime | None) -> UsageAudit:
        start, end = self._period(before)
        with self._db.reader() as session:
            compute = sa.select(ServiceRow.host).where(ServiceRow.binary == hosts.COMPUTE)
            return UsageAudit(
                period_beginning=start,
                period_ending=end,
                hosts=list(session.scalars(compute.order_by(ServiceRow.host))),
                logs=usage.logs(session, start, end),
            )

    def audit_usage(self, context: Ctx, host: str) -> None:
        start, end = self._period()
        if self._begin(host, start, end):
            self._audit(host, start, end)
            self._say_who_exists(host, start, end)

    @retry
    def _say_who_exists(self, host: str, start: datetime.datetime, end: datetime.datetime) -> None:
        """Send ``instance.exists`` for each server that lived on a host: for billing."""
        notifier = self._notifier
        if notifier is None or not notifier.is_on:
            return
        period = AuditPeriodPayload(audit_period_beginning=start, audit_period_ending=end)
        with self._db.reader() as session:
            found = [
                servers.get(session, uuid, deleted=None)
                for uuid in usage.uuids_on(session, host, start, end)
            ]
        context = get_admin_context()
        nobody = dict.fromkeys(('request_id', 'action_initiator_user', 'action_initiator_project'))
        for server in found:
            values = describe.common(self._conf, server, nobody)
            payload = InstanceExistsPayload(**values, audit_period=period)
            notifier.send(context, 'instance.exists', None, host, payload)
            plain.server(notifier, context, 'instance.exists', server, host)

    def _period(
        self, before: datetime.datetime | None = None
    ) -> tuple[datetime.datetime, datetime.datetime]:
        period = self._conf.instance_usage_audit_period
        return audit_period.last_completed(period, before or types.utcnow())

    def _begin(self, host: str, start: datetime.datetime, end: datetime.datetime) -> bool:
        """Note that the audit runs; false when it does already, or has."""
        try:
            return self._note_running(host, start, end)
        except sa.exc.IntegrityError as error:
            if not errors.is_duplicate(error):
                raise
            return False

    @retry
    def _note_running(self, host: str, start: datetime.datetime, end: datetime.datetime) -> bool:
        with self._db.transaction() as session:
            row = usage.log_of(session, host, start, end)
            if row is None:
                row = TaskLogRow(
                    task_name=usage.AUDIT, host=host, period_beginning=start, period_ending=end
                )
                session.add(row)
            elif row.state == usage.DONE or not _is_old(row.updated_at):
                return False
            row.state, row.updated_at = usage.RUNNING, types.utcnow()
            row.message = f'Instance usage audit runs for host {host}.'
        return True

    @retry
    def _audit(self, host: str, start: datetime.datetime, end: datetime.datetime) -> None:
        began = time.monotonic()
        with self._db.transaction() as session:
            row = usage.log_of(session, host, start, end)
            if row is None:
                return
            row.task_items = usage.count_on(session, host, start, end)
            row.state = usage.DONE
            row.message = (
                f'Instance usage audit ran for host {host}, {row.task_items} instances '
                f'in {time.monotonic() - began:.2f} seconds.'
            )


def add_up(
    lived: Iterable[ServerUsage],
    start: datetime.datetime,
    end: datetime.datetime,
    detailed: bool,
) -> UsagePage:
    """Sum servers up by their projects, in which order they must be."""
    page = UsagePage()
    for server in lived:
        if not page.projects or page.projects[-1].project_id != server.project_id:
            page.projects.append(ProjectUsage(project_id=server.project_id, servers=[]))
        project = page.projects[-1]
        server.hours = hours = _hours(server, start, end)
        project.hours += hours
        project.vcpu_hours += hours * server.vcpus
        project.memory_mb_hours += hours * server.memory_mb
        project.local_gb_hours += hours * server.local_gb
        if detailed:
            project.servers.append(server)
        page.count, page.last = page.count + 1, server.uuid
    return page


def _hours(server: ServerUsage, start: datetime.datetime, end: datetime.datetime) -> float:
    """Return how long a server lived between two times."""
    first = max(server.launched_at, start)
    last = min(server.terminated_at or end, end)
    return max((last - first).total_seconds(), 0.0) / 3600


def _is_old(moment: datetime.datetime | None) -> bool:
    return moment is None or moment <= types.utcnow() - FORGOTTEN
