"""Which hosts have audited the usage of their servers."""

import datetime
from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, OLD_ADMIN
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.objects.usage import UsageAudit

REPLACES = ('os_compute_api:os-instance-usage-audit-log', OLD_ADMIN)
FIRST_YEAR = 3
"""The calendar begins with the year 1, and a period before the one before must be in it."""


@operation('GET', '/os-instance_usage_audit_log', query=params.QUERY_LESS, check=ADMIN,
           replaces=REPLACES,
           rule='os_compute_api:os-instance-usage-audit-log:list')  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """Show the usage audit of the newest period that is over."""
    audit = request.conductor.get_usage_audit(request.context, None)
    return {'instance_usage_audit_logs': _view(audit)}


@operation('GET', '/os-instance_usage_audit_log/{before_timestamp}', query=params.QUERY_LESS,
           check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-instance-usage-audit-log:show')  # fmt: skip
def show(request: Request, before_timestamp: str) -> dict[str, Any]:
    """Show the usage audit of the newest period that was over at a time."""
    audit = request.conductor.get_usage_audit(request.context, _parse(before_timestamp))
    return {'instance_usage_audit_log': _view(audit)}


def _parse(text: str) -> datetime.datetime:
    layout = '%Y-%m-%d %H:%M:%S.%f' if '.' in text else '%Y-%m-%d %H:%M:%S'
    try:
        when = datetime.datetime.strptime(text, layout)
    except ValueError:
        raise _invalid(text) from None
    if when.year < FIRST_YEAR:
        raise _invalid(text)
    return when


def _invalid(text: str) -> exception.Invalid:
    return exception.Invalid(f'Invalid timestamp for date {text}')


def _view(audit: UsageAudit) -> dict[str, Any]:
    by_state = {
        state: {log.host for log in audit.logs if log.state == state}
        for state in ('RUNNING', 'DONE')
    }
    done, hosts = len(by_state['DONE']), len(audit.hosts)
    missing = sorted(set(audit.hosts) - {log.host for log in audit.logs})
    errors = sum(log.errors for log in audit.logs)
    share = 'ALL' if done == hosts else f'{done} of {hosts}'
    return {
        'period_beginning': str(audit.period_beginning),
        'period_ending': str(audit.period_ending),
        'num_hosts': hosts,
        'num_hosts_done': done,
        'num_hosts_running': len(by_state['RUNNING']),
        'num_hosts_not_run': len(missing),
        'hosts_not_run': missing,
        'total_instances': sum(log.instances for log in audit.logs),
        'total_errors': errors,
        'overall_status': f'{share} hosts done. {errors} errors.',
        'log': {
            log.host: {
                'state': log.state,
                'instances': log.instances,
                'errors': log.errors,
                'message': log.message,
            }
            for log in audit.logs
        },
    }
