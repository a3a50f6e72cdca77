"""Who may do what: every operation, asked by every kind of caller, against Nova's defaults.

Whoever is let in is stopped right behind the check, so that nothing of it is done.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg
from oslo_policy import policy

from kilonova.api import faults
from kilonova.api.request import Request
from kilonova.tests.functional import callers, routes, snapshot
from kilonova.tests.functional.callers import Caller
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.refusals import check_fault, each
from kilonova.tests.functional.routes import CALLER, Route, Things
from kilonova.tests.unit.api import reference

CLOUD: dict[str, Any] = {}
LET_IN = 418


@pytest.fixture(scope='module', autouse=True)
def unchanged(cloud: Cloud, things: Things) -> Iterator[None]:
    before = snapshot.settled(cloud)
    yield
    assert snapshot.changed(before, snapshot.take(cloud)) == {}


@pytest.fixture(autouse=True)
def stopped_behind_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    callers.install(monkeypatch)
    authorize = Request.authorize

    def stop(request: Request, **target: Any) -> None:
        authorize(request, **target)
        raise faults.Fault(LET_IN, f'{request.operation.rule} lets in')

    monkeypatch.setattr(Request, 'authorize', stop)


@pytest.fixture(scope='module')
def published() -> policy.Enforcer:
    """Return an enforcer of the published table, without any of our declarations."""
    conf = cfg.ConfigOpts()
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults([
        policy.RuleDefault(row['rule'], row['default_check'],
                           scope_types=row['scope_types'].split() or None)
        for row in reference.table('policies.csv')
    ])  # fmt: skip
    return enforcer


def _is_of_a_project(route: Route) -> bool:
    return any(
        name in route.one.path for name in ('{server_id}', '{project_id}', '{server_group_id}')
    )


def _is_hidden(route: Route) -> bool:
    return any(name in route.one.path for name in ('{server_id}', '{server_group_id}'))


def _expected(published: policy.Enforcer, route: Route, caller: Caller) -> int:
    """Return what comes of it: let in, refused, or not there for this caller."""
    foreign = caller.project != callers.OWNER and not caller.is_admin
    # Where the caller's own project decides, the rule does before anything is looked up.
    if foreign and route.one.target == 'resource' and _is_hidden(route):
        return 404
    if route.one.rule is None:
        return LET_IN
    target = {
        'project_id': callers.OWNER
        if _is_of_a_project(route) and route.one.target == 'resource'
        else caller.project,
        # The request for a key pair names another user.
        'user_id': 'admin' if route.key == ('POST', '/os-keypairs', None) else caller.name,
    }
    # What is not one of Nova's is for those who may disable a host.
    ours = route.one.rule.startswith('kilonova:')
    rule = 'os_compute_api:os-services:update' if ours else route.one.rule
    allowed = published.enforce(rule, target, caller.values)
    return LET_IN if allowed else 403


@reference.needed
@each(routes.ROUTES)
@pytest.mark.parametrize('caller', callers.ALL, ids=str)
def test_whom_the_defaults_let_in(
    cloud: Cloud, things: Things, published: policy.Enforcer, route: Route, caller: Caller
) -> None:
    body = routes.bodies(things).get(route.key)
    answer = cloud.call(
        route.one.method, route.path(things), body, token=caller.token, version=route.version
    )
    expected = _expected(published, route, caller)
    assert answer.status == expected, answer.text
    if expected == 403:
        message = check_fault(answer, 403)
        assert message == f"Policy doesn't allow {route.one.rule} to be performed."


@each(routes.ROUTES)
def test_the_project_of_the_path_is_the_token_s(cloud: Cloud, things: Things, route: Route) -> None:
    body = routes.bodies(things).get(route.key)
    answer = cloud.call(
        route.one.method, '/evil' + route.path(things), body, token=CALLER, version=route.version
    )
    assert "doesn't match Context's project_id" in check_fault(answer, 400)


@each(routes.ROUTES)
def test_without_a_token_nothing_is_done(cloud: Cloud, things: Things, route: Route) -> None:
    body = routes.bodies(things).get(route.key)
    answer = cloud.call(route.one.method, route.path(things), body, token='', version=route.version)
    assert (answer.status, answer.text) == (204, '')
