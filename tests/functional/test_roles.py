"""Who may write what: another project, a reader, no role, nobody at all."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.api import auth
from kilonova.common.context import RequestContext
from kilonova.tests.functional import routes, snapshot
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.routes import CALLER, Route, Things
from kilonova.tests.functional.test_bad_input import check_fault, each

CLOUD: dict[str, Any] = {}
READER, NO_ROLE, SERVICE = 'reader:demo', 'nobody:demo', 'service:service'
ROLES = {'reader': ['reader'], 'nobody': [], 'service': ['service']}
FOREIGN = 'mallory:evil'

# Only the rules of these let their callers in without any role of the project.
OPEN = {'os_compute_api:os-keypairs:create', 'os_compute_api:os-keypairs:delete'}
OF_SERVICES = {'os_compute_api:os-server-external-events:create'}


@pytest.fixture(scope='module')
def things(cloud: Cloud) -> Things:
    return Things.make(cloud)


@pytest.fixture(autouse=True)
def roles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give some users of ``noauth2`` other roles, as Keystone would."""

    def make(**values: Any) -> RequestContext:
        user = values['user_id']
        if user in ROLES:
            values['roles'] = ROLES[user]
        return RequestContext(**values)

    monkeypatch.setattr(auth, 'RequestContext', make)


@pytest.fixture(autouse=True)
def unchanged(cloud: Cloud, things: Things) -> Iterator[None]:
    before = snapshot.settled(cloud)
    yield
    assert snapshot.changed(before, snapshot.take(cloud)) == {}


def _try(cloud: Cloud, things: Things, route: Route, token: str) -> Any:
    body = routes.bodies(things).get(route.key)
    return cloud.call(
        route.one.method, route.path(things), body, token=token, version=route.version
    )


@each(routes.WRITES)
@pytest.mark.parametrize('token', [READER, NO_ROLE])
def test_without_the_role_writes_are_refused(
    cloud: Cloud, things: Things, route: Route, token: str
) -> None:
    if route.one.rule in OPEN:
        pytest.skip('a user may do with their own key pairs what they like')
    message = check_fault(_try(cloud, things, route, token), 403)
    # What has no rule of ours is refused by the service that it is passed on to.
    assert (
        route.one.rule is None
        or message == f"Policy doesn't allow {route.one.rule} to be performed."
    )


@each(routes.WRITES)
def test_another_project_cannot_write(cloud: Cloud, things: Things, route: Route) -> None:
    """What is another project's is not there; what is the administrators' is refused."""
    if route.one.rule == 'os_compute_api:servers:create':
        pytest.skip('a server of their own')
    if route.one.rule == 'os_compute_api:os-keypairs:create':
        # The sample names another user.
        check_fault(_try(cloud, things, route, FOREIGN), 403)
        return
    answer = _try(cloud, things, route, FOREIGN)
    check_fault(answer, 404 if '{server_id}' in route.one.path or 'keypairs' in route.one.path
                else 403)  # fmt: skip


@each([route for route in routes.WRITES if '{server_id}' not in route.one.path])
def test_services_do_what_services_do(cloud: Cloud, things: Things, route: Route) -> None:
    if route.one.rule in OPEN or route.one.rule in OF_SERVICES:
        pytest.skip('allowed')
    check_fault(_try(cloud, things, route, SERVICE), 403)


@each(routes.READS)
def test_readers_read(cloud: Cloud, things: Things, route: Route) -> None:
    """A role that may not write may read its own project, and nothing of administrators'."""
    answer = _try(cloud, things, route, READER)
    if route.one.rule is not None and route.one.check == 'rule:context_is_admin':
        check_fault(answer, 403)
    elif 'keypairs/' in route.one.path:
        check_fault(answer, 404)
    else:
        assert answer.status in (200, 204, 300), answer.text


@each(routes.ROUTES)
def test_the_project_of_the_path_is_the_token_s(cloud: Cloud, things: Things, route: Route) -> None:
    body = routes.bodies(things).get(route.key)
    answer = cloud.call(
        route.one.method, '/evil' + route.path(things), body, token=CALLER, version=route.version
    )
    assert "doesn't match Context's project_id" in check_fault(answer, 400)


@each(routes.ROUTES)
def test_without_a_token_nothing_is_done(cloud: Cloud, things: Things, route: Route) -> None:
    answer = _try(cloud, things, route, '')
    assert (answer.status, answer.text) == (204, '')
