"""os-simple-tenant-usage and os-instance_usage_audit_log."""

import datetime
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.objects.usage import (
    AuditLog,
    ProjectUsage,
    ServerUsage,
    UsageAudit,
    UsagePage,
)
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.frontdoor import Door

UUID = '11111111-1111-1111-1111-111111111111'
BEGAN = datetime.datetime(2026, 5, 4, 10)
RANGE = 'start=2026-05-04T10:00:00&end=2026-05-04T12:00:00.5'
LIST, SHOW = '/os-simple-tenant-usage', '/os-simple-tenant-usage/demo'


class Conductor:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.page = UsagePage(
            projects=[
                ProjectUsage(
                    project_id='demo',
                    hours=2.0,
                    vcpu_hours=4.0,
                    memory_mb_hours=1024.0,
                    local_gb_hours=2.0,
                    servers=[server(), server(terminated_at=BEGAN + datetime.timedelta(hours=1))],
                )
            ],
            count=2,
            last=UUID,
        )
        self.error: Exception | None = None

    def get_usage(self, context: Any, start: Any, end: Any, **what: Any) -> UsagePage:
        self.asked.append((start, end, what))
        if self.error:
            raise self.error
        return self.page

    def get_usage_audit(self, context: Any, before: Any) -> UsageAudit:
        self.asked.append(before)
        return UsageAudit(
            period_beginning=datetime.datetime(2026, 4, 1),
            period_ending=datetime.datetime(2026, 5, 1),
            hosts=['h1', 'h2', 'h3'],
            logs=[
                AuditLog(host='h1', state='DONE', instances=3, errors=1, message='one'),
                AuditLog(host='h2', state='RUNNING', message='two'),
            ],
        )


def server(**fields: Any) -> ServerUsage:
    return ServerUsage(
        uuid=UUID, name='n', project_id='demo', flavor='m1', vcpus=2, memory_mb=512, local_gb=1,
        vm_state='active', launched_at=BEGAN, hours=1.0, **fields
    )  # fmt: skip


@pytest.fixture
def conductor() -> Conductor:
    return Conductor()


@pytest.fixture
def admin(conductor: Conductor) -> Door:
    return Door.open(conductor).as_user('admin:admin')


@pytest.mark.parametrize('version', ['2.1', '2.39', '2.40', '2.75', '2.104'])
@pytest.mark.parametrize('path, shown', [(f'{LIST}?detailed=1&', 'index'), (f'{SHOW}?', 'show')])
def test_usage_fits(admin: Door, version: str, path: str, shown: str) -> None:
    body = admin.at(version).ok('GET', path + RANGE)
    controller = 'simple_tenant_usage.SimpleTenantUsageController'
    table = '/os-simple-tenant-usage' + ('' if shown == 'index' else '/{id}')
    operation = reference.operations(controller)['GET', table, None]
    reference.check(body, reference.schema_for(operation, 'response', version))


def test_usage(admin: Door, conductor: Conductor) -> None:
    shown = admin.ok('GET', f'{SHOW}?{RANGE}')['tenant_usage']
    assert conductor.asked == [
        (
            BEGAN,
            datetime.datetime(2026, 5, 4, 12, 0, 0, 500000),
            {'project_id': 'demo', 'detailed': True},
        )
    ]
    assert (shown['start'], shown['stop']) == (
        '2026-05-04T10:00:00.000000', '2026-05-04T12:00:00.500000')  # fmt: skip
    assert (shown['total_hours'], shown['total_vcpus_usage']) == (2.0, 4.0)
    running, gone = shown['server_usages']
    assert (running['state'], running['ended_at']) == ('active', None)
    assert (gone['state'], gone['uptime']) == ('terminated', 3600)
    brief = admin.ok('GET', f'{LIST}?{RANGE}')['tenant_usages']
    assert 'server_usages' not in brief[0]


def test_nothing_used(admin: Door, conductor: Conductor) -> None:
    conductor.page = UsagePage()
    assert admin.at('2.40').ok('GET', SHOW) == {'tenant_usage': {}}
    assert admin.at('2.40').ok('GET', LIST) == {'tenant_usages': []}
    start, end, _ = conductor.asked[0]
    assert start == end


def test_pages(admin: Door, conductor: Conductor) -> None:
    paged = admin.at('2.40')
    body = paged.ok('GET', f'{SHOW}?{RANGE}&limit=2')
    (link,) = body['tenant_usage_links']
    assert f'marker={UUID}' in link['href'] and '/os-simple-tenant-usage/demo?' in link['href']
    assert conductor.asked[-1][2]['limit'] == 2
    assert 'tenant_usages_links' not in paged.ok('GET', f'{LIST}?limit=3')
    assert 'tenant_usages_links' in paged.ok('GET', f'{LIST}?limit=2')
    assert 'limit' not in conductor.asked[-1][2] or conductor.asked[-1][2]['limit'] == 2
    old = admin.at('2.39').ok('GET', f'{LIST}?limit=2')
    assert 'tenant_usages_links' not in old and 'limit' not in conductor.asked[-1][2]


@pytest.mark.parametrize(
    'query',
    ['start=yesterday', 'end=2026-13-01T00:00:00', 'start=2026-05-04T10:00:00%2B00:00',
     'start=2026-05-04T10:00:00&end=2026-05-04T09:00:00', 'end=2026-05-04 10:00:00'],
)  # fmt: skip
def test_bad_times(admin: Door, conductor: Conductor, query: str) -> None:
    for path in (LIST, SHOW):
        assert admin.refused('GET', f'{path}?{query}') == 400
    assert not conductor.asked


def test_bad_pages(admin: Door, conductor: Conductor) -> None:
    assert admin.at('2.40').refused('GET', f'{LIST}?limit=-1') == 400
    assert admin.at('2.75').refused('GET', f'{LIST}?what=1') == 400
    conductor.error = exception.MarkerNotFound(marker='m')
    assert admin.at('2.40').refused('GET', f'{LIST}?marker=m') == 400


def test_who_may(conductor: Conductor) -> None:
    member = Door.open(conductor).as_user('demo:demo')
    assert member.refused('GET', LIST) == 403
    assert member.ok('GET', SHOW)
    assert member.refused('GET', '/os-simple-tenant-usage/other') == 403
    assert member.refused('GET', '/os-instance_usage_audit_log') == 403


def test_audit_log(admin: Door, conductor: Conductor) -> None:
    body = admin.ok('GET', '/os-instance_usage_audit_log')['instance_usage_audit_logs']
    assert body == {
        'period_beginning': '2026-04-01 00:00:00',
        'period_ending': '2026-05-01 00:00:00',
        'num_hosts': 3,
        'num_hosts_done': 1,
        'num_hosts_running': 1,
        'num_hosts_not_run': 1,
        'hosts_not_run': ['h3'],
        'total_instances': 3,
        'total_errors': 1,
        'overall_status': '1 of 3 hosts done. 1 errors.',
        'log': {
            'h1': {'state': 'DONE', 'instances': 3, 'errors': 1, 'message': 'one'},
            'h2': {'state': 'RUNNING', 'instances': 0, 'errors': 0, 'message': 'two'},
        },
    }
    at = admin.ok('GET', '/os-instance_usage_audit_log/2026-05-04 10:00:00.5')
    assert at['instance_usage_audit_log'] == body
    assert conductor.asked == [None, datetime.datetime(2026, 5, 4, 10, 0, 0, 500000)]


@pytest.mark.parametrize(
    'when', ['now', '2026-05-04', '2026-05-04 10:00:00.', '0001-01-01 00:00:00']
)
def test_audit_log_of_no_time(admin: Door, conductor: Conductor, when: str) -> None:
    assert admin.refused('GET', f'/os-instance_usage_audit_log/{when}') == 400
    assert not conductor.asked
