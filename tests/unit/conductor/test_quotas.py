"""Limits, usage, and that nobody gets more than his limit."""

import threading
import uuid

import pytest

from kilonova.common import exception
from kilonova.common.clients import limits
from kilonova.common.context import RequestContext
from kilonova.conductor.quotas import Quotas
from kilonova.db import engine, quotas, unified_limits
from kilonova.db.models.api import InstanceGroup, InstanceMapping

CTX = RequestContext(project_id='p', user_id='me', overwrite=False)


@pytest.fixture
def endpoint(conf, api_db):
    return Quotas(conf, api_db)


def boot(api_db, conf, project='p', user='me', servers=1, vcpus=1, memory_mb=512, **more):
    """Do what creating servers does in the API database."""

    @engine.retry
    def run():
        with api_db.transaction() as session:
            fits = quotas.check_and_reserve(
                session, conf, project, user,
                servers=servers, vcpus=vcpus, memory_mb=memory_mb, **more,
            )  # fmt: skip
            session.add_all(
                InstanceMapping(
                    instance_uuid=str(uuid.uuid4()), project_id=project, user_id=user,
                    vcpus=vcpus, memory_mb=memory_mb,
                )
                for _ in range(fits)
            )  # fmt: skip
        return fits

    return run()


def test_defaults_come_from_the_configuration(endpoint, conf):
    found = endpoint.get_quotas(CTX, 'p')
    assert found.limits == {
        'instances': 10, 'cores': 20, 'ram': 51200, 'metadata_items': 128, 'key_pairs': 100,
        'injected_files': 5, 'injected_file_content_bytes': 10240,
        'injected_file_path_bytes': 255, 'server_groups': 10, 'server_group_members': 10,
        'fixed_ips': -1, 'floating_ips': -1, 'security_groups': -1, 'security_group_rules': -1,
    }  # fmt: skip
    assert found.in_use == {}


def test_levels_of_limits(endpoint, api_db):
    endpoint.update_quota_class(CTX, 'default', {'cores': 30, 'ram': 1000})
    endpoint.update_quotas(CTX, 'p', None, {'cores': 40})
    endpoint.update_quotas(CTX, 'p', 'me', {'cores': 5})
    assert endpoint.get_quotas(CTX, 'p').limits['cores'] == 40
    assert endpoint.get_quotas(CTX, 'p', 'me').limits['cores'] == 5
    assert endpoint.get_quotas(CTX, 'p', 'you').limits['cores'] == 40
    assert endpoint.get_quotas(CTX, 'q').limits['cores'] == 30
    assert endpoint.get_quotas(CTX, 'p', defaults=True).limits['cores'] == 30
    assert endpoint.get_quotas(CTX, 'p').limits['ram'] == 1000
    assert endpoint.get_quota_class(CTX, 'default').limits['ram'] == 1000
    assert endpoint.get_quota_class(CTX, 'other').limits['ram'] == 51200
    endpoint.delete_quotas(CTX, 'p', 'me')
    assert endpoint.get_quotas(CTX, 'p', 'me').limits['cores'] == 40
    endpoint.update_quotas(CTX, 'p', 'me', {'cores': 5})
    endpoint.delete_quotas(CTX, 'p')
    assert endpoint.get_quotas(CTX, 'p', 'me').limits['cores'] == 30


def test_usage(endpoint, api_db, conf):
    boot(api_db, conf, servers=2, vcpus=2, memory_mb=100)
    boot(api_db, conf, user='you', vcpus=1, memory_mb=10)
    boot(api_db, conf, project='q')
    with api_db.transaction() as session:
        session.add(InstanceGroup(uuid='g', project_id='p', user_id='me'))
        session.add(
            InstanceMapping(instance_uuid='gone', project_id='p', user_id='me', vcpus=9,
                            queued_for_delete=True)
        )  # fmt: skip
    used = endpoint.get_quotas(CTX, 'p', usage=True).in_use
    assert (used['instances'], used['cores'], used['ram']) == (3, 5, 210)
    assert (used['server_groups'], used['key_pairs']) == (1, 0)
    used = endpoint.get_quotas(CTX, 'p', 'you', usage=True).in_use
    assert (used['instances'], used['cores'], used['ram'], used['server_groups']) == (1, 1, 10, 0)
    assert endpoint.get_quotas(CTX, 'empty', usage=True).in_use['ram'] == 0


@pytest.mark.parametrize(
    ('user', 'limits', 'force', 'message'),
    [
        (None, {'cores': 3}, False, 'greater than or equal to already used and reserved 4'),
        (None, {'cores': -2}, True, 'must be -1 or greater'),
        ('me', {'instances': 11}, False, 'less than or equal to 10'),
        ('me', {'instances': -1}, True, 'less than or equal to 10'),
        (None, {'nonsense': 1}, False, 'nonsense'),
    ],
)
def test_limits_that_are_refused(endpoint, api_db, conf, user, limits, force, message):
    boot(api_db, conf, servers=2, vcpus=2)
    with pytest.raises(exception.Invalid, match=message):
        endpoint.update_quotas(CTX, 'p', user, {'ram': 5000, **limits}, force)
    assert endpoint.get_quotas(CTX, 'p').limits['ram'] == 51200  # all or nothing


def test_force_goes_below_usage(endpoint, api_db, conf):
    boot(api_db, conf, servers=2, vcpus=2)
    assert endpoint.update_quotas(CTX, 'p', None, {'cores': 1}, True).limits['cores'] == 1
    assert endpoint.update_quotas(CTX, 'p', None, {'cores': -1}).limits['cores'] == -1


def test_refusal_says_all_numbers(api_db, conf):
    boot(api_db, conf, servers=9, vcpus=2)
    with pytest.raises(exception.QuotaExceeded) as caught:
        boot(api_db, conf, servers=2, vcpus=3)
    assert str(caught.value) == (
        'Quota exceeded for cores, instances: Requested 6, 2, but already used 18, 9 of 20, 10 '
        'cores, instances'
    )


def test_between_minimum_and_maximum_what_fits_is_given(api_db, conf):
    assert boot(api_db, conf, servers=30, minimum=1) == 10
    with pytest.raises(
        exception.QuotaExceeded, match='Requested 30, 1-30, but already used 10, 10 of'
    ):
        boot(api_db, conf, servers=30, minimum=1)


def test_a_users_own_limit_counts_his_servers_only(endpoint, api_db, conf):
    endpoint.update_quotas(CTX, 'p', 'me', {'instances': 2})
    assert boot(api_db, conf, user='you', servers=4) == 4
    assert boot(api_db, conf, servers=2) == 2
    with pytest.raises(exception.QuotaExceeded, match='already used 2 of 2 instances'):
        boot(api_db, conf)
    assert boot(api_db, conf, user='you', servers=4) == 4
    with pytest.raises(exception.QuotaExceeded, match='already used 10 of 10 instances'):
        boot(api_db, conf, user='you')


def test_without_limits_nothing_is_asked(endpoint, api_db, conf):
    endpoint.update_quotas(CTX, 'p', None, {'cores': -1, 'ram': -1, 'instances': -1})
    with engine.count_statements() as statements:
        boot(api_db, conf, servers=50)
    assert len([s for s in statements if s.startswith('SELECT')]) == 1
    conf.set_override('driver', quotas.NOOP_DRIVER, 'quota')
    assert set(endpoint.get_quotas(CTX, 'q').limits.values()) == {-1}


def test_check_costs_three_statements(api_db, conf):
    boot(api_db, conf)
    with engine.count_statements() as statements:
        boot(api_db, conf)
    assert len(statements) == 4, statements  # limits, lock, usage; the insert is the caller's


@pytest.mark.parametrize('driver', ['nova.quota.DbQuotaDriver', unified_limits.DRIVER])
def test_a_hundred_at_once_get_no_more_than_the_limit(api_db, conf, monkeypatch, driver):
    """The project is new: its lock is made by whoever comes first."""
    conf.set_override('driver', driver, 'quota')
    levels = [limits.Level(['p'], {'servers': 10, 'class:VCPU': -1, 'class:MEMORY_MB': -1})]
    monkeypatch.setattr(limits, 'levels', lambda conf, project_id: levels)
    start = threading.Barrier(20)
    results = []

    def create():
        start.wait(30)
        for _ in range(5):
            try:
                results.append(boot(api_db, conf))
            except (exception.QuotaExceeded, exception.ProjectOverLimit):
                results.append(0)

    threads = [threading.Thread(target=create) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 100
    assert sum(results) == 10
    with api_db.reader() as session:
        assert quotas.usage(session, 'p', 'me')[0]['instances'] == 10
