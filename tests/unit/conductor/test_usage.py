"""Usage of projects, and its audit."""

import datetime

import pytest
import sqlalchemy as sa

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.conductor import audit_period
from kilonova.conductor.usage import FORGOTTEN, Usage
from kilonova.db import types
from kilonova.db.models.cell import TaskLogRow
from kilonova.tests.unit.conductor.hosts_world import CTX


def at(text):
    return datetime.datetime.fromisoformat(text)


NOON = at('2026-05-04T12:00')
FLAVOR = Flavor(flavorid='f', name='m1', memory_mb=1024, vcpus=2)


@pytest.fixture
def usage(conf, cell_db):
    return Usage(conf, cell_db)


@pytest.fixture
def add(hosts_world):
    def make(uuid, since, until=None, **fields):
        more = {'deleted': 1, 'vm_state': 'deleted'} if until else {}
        hosts_world.add_server(
            fields.pop('host', 'h1'), uuid=uuid, flavor=FLAVOR, launched_at=since and at(since),
            terminated_at=until and at(until), **more, **fields)  # fmt: skip

    return make


def test_only_the_time_asked_for_counts(usage, add):
    add('a', '2026-05-04T06:00')
    add('b', '2026-05-04T00:00', '2026-05-04T11:30')
    add('c', '2026-05-04T00:00', '2026-05-04T10:00')
    add('d', '2026-05-04T13:00')
    add('e', None)
    page = usage.get_usage(CTX, at('2026-05-04T11:00'), at('2026-05-04T13:00'), detailed=True)
    (project,) = page.projects
    assert [(one.uuid, one.hours) for one in project.servers] == [('a', 2.0), ('b', 0.5)]
    assert (project.hours, project.vcpu_hours) == (2.5, 5.0)
    assert (project.memory_mb_hours, project.local_gb_hours) == (2560.0, 27.5)
    assert (page.count, page.last) == (2, 'b')
    assert {one.flavor for one in project.servers} == {'m1'}


def test_projects_are_apart(usage, add):
    add('b', '2026-05-04T11:00', project_id='one')
    add('a', '2026-05-04T11:00', project_id='two')
    both = usage.get_usage(CTX, at('2026-05-04T11:00'), NOON)
    assert [one.project_id for one in both.projects] == ['one', 'two']
    assert both.projects[0].servers == []
    alone = usage.get_usage(CTX, at('2026-05-04T11:00'), NOON, project_id='two', detailed=True)
    assert [server.uuid for one in alone.projects for server in one.servers] == ['a']
    assert usage.get_usage(CTX, at('2026-05-04T11:00'), NOON, project_id='no').projects == []


def test_pages_go_through_all_projects(usage, add):
    for uuid, project in (('c', 'one'), ('d', 'one'), ('a', 'two')):
        add(uuid, '2026-05-04T11:00', project_id=project)
    seen, marker = [], None
    while True:
        page = usage.get_usage(
            CTX, at('2026-05-04T11:00'), NOON, detailed=True, limit=2, marker=marker
        )
        if not page.count:
            break
        seen.append([server.uuid for one in page.projects for server in one.servers])
        marker = page.last
    assert seen == [['c', 'd'], ['a']]
    with pytest.raises(exception.MarkerNotFound):
        usage.get_usage(CTX, NOON, NOON, marker='x')
    with pytest.raises(exception.MarkerNotFound):
        usage.get_usage(CTX, NOON, NOON, project_id='two', marker='c')


def test_one_statement_however_many_servers(usage, add):
    counts = []
    for number in range(3):
        add(f's{number}', '2026-05-04T11:00', project_id=f'p{number}')
        seen = []

        def count(*arguments, seen=seen):
            seen.append(arguments[2])

        sa.event.listen(sa.Engine, 'before_cursor_execute', count)
        usage.get_usage(CTX, at('2026-05-04T11:00'), NOON, detailed=True)
        sa.event.remove(sa.Engine, 'before_cursor_execute', count)
        counts.append(len([text for text in seen if 'SELECT' in text]))
    assert counts == [1, 1, 1]


@pytest.mark.parametrize(
    'period, now, begin, end',
    [
        ('month', '2026-05-04T12:00', '2026-04-01', '2026-05-01'),
        ('month@15', '2026-05-04T12:00', '2026-03-15', '2026-04-15'),
        ('month@15', '2026-05-15T00:00', '2026-04-15', '2026-05-15'),
        ('month@31', '2026-03-05T00:00', '2026-01-31', '2026-02-28'),
        ('month', '2026-01-01T00:00', '2025-12-01', '2026-01-01'),
        ('hour', '2026-05-04T12:34', '2026-05-04T11:00', '2026-05-04T12:00'),
        ('hour@45', '2026-05-04T00:34', '2026-05-03T22:45', '2026-05-03T23:45'),
        ('day', '2026-03-01T00:00', '2026-02-28', '2026-03-01'),
        ('day@6', '2026-05-04T05:59', '2026-05-02T06:00', '2026-05-03T06:00'),
        ('year', '2026-05-04T12:00', '2025-01-01', '2026-01-01'),
        ('year@10', '2024-02-29T12:00', '2022-10-01', '2023-10-01'),
        ('day@99', '2026-05-04T12:00', '2026-05-02T23:00', '2026-05-03T23:00'),
    ],
)
def test_periods(period, now, begin, end):
    assert audit_period.last_completed(period, at(now)) == (at(begin), at(end))


def test_an_audit_is_done_once(usage, add, hosts_world):
    for host in ('h1', 'h2'):
        hosts_world.add_host(host, provider=False)
    begin, end = audit_period.last_completed('month', types.utcnow())
    add('a', begin.isoformat())
    add('b', begin.isoformat(), (begin + datetime.timedelta(hours=1)).isoformat())
    add('c', end.isoformat())
    usage.audit_usage(CTX, 'h1')
    usage.audit_usage(CTX, 'h1')
    audit = usage.get_usage_audit(CTX, None)
    assert (audit.period_beginning, audit.period_ending) == (begin, end)
    assert audit.hosts == ['h1', 'h2']
    (log,) = audit.logs
    assert (log.host, log.state, log.instances, log.errors) == ('h1', 'DONE', 2, 0)
    assert log.message.startswith('Instance usage audit ran for host h1, 2 instances in ')
    assert usage.get_usage_audit(CTX, at('2020-01-01T00:00')).logs == []


def test_an_audit_that_was_left_is_done_again(usage, hosts_world, cell_db, monkeypatch):
    monkeypatch.setattr(usage, '_audit', lambda *_: None)
    usage.audit_usage(CTX, 'h1')
    monkeypatch.undo()
    usage.audit_usage(CTX, 'h1')  # another conductor may be at it
    assert usage.get_usage_audit(CTX, None).logs[0].state == 'RUNNING'
    with cell_db.transaction() as session:
        session.execute(sa.update(TaskLogRow).values(updated_at=types.utcnow() - FORGOTTEN * 2))
    usage.audit_usage(CTX, 'h1')
    assert usage.get_usage_audit(CTX, None).logs[0].state == 'DONE'
