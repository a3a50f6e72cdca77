"""The command ``openstack`` moves servers: resize, migrations of all kinds, evacuation."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional.clients import Failed, OpenStack
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.moves import host_of

CLOUD = {'hosts': 2}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def server(demo: OpenStack, flavor: str, image: str) -> str:
    made = demo.show(
        'server create', '--flavor', flavor, '--image', image, '--nic', 'none', '--wait', 'mover'
    )
    return str(made['id'])


@pytest.fixture
def slow(cloud: Cloud) -> Iterator[None]:
    cloud.conf.set_override('live_migration_delay', 60, 'fake_driver')
    yield
    cloud.conf.clear_override('live_migration_delay', 'fake_driver')


@pytest.fixture(scope='module')
def large(cloud: Cloud) -> str:
    cloud.flavor('large', vcpus=2)
    return 'large'


def other(host: str) -> str:
    return 'controller-1' if host == 'controller-2' else 'controller-2'


def test_resize(cloud: Cloud, demo: OpenStack, server: str, flavor: str, large: str) -> None:
    demo.run('server resize', '--flavor', large, '--wait', server)
    assert demo.show('server show', server)['status'] == 'VERIFY_RESIZE'
    demo.run('server resize confirm', server)
    assert cloud.wait_status(server, 'ACTIVE')['flavor']['original_name'] == large
    demo.run('server resize', '--flavor', flavor, '--wait', server)
    demo.run('server resize revert', server)
    assert cloud.wait_status(server, 'ACTIVE')['flavor']['original_name'] == large


def test_the_older_words(cloud: Cloud, demo: OpenStack, admin: OpenStack, server: str) -> None:
    """``server migrate confirm`` and ``server migration revert`` are other names of the same."""
    for command, home in (
        ('server migrate confirm', False),
        ('server migrate revert', True),
        ('server migration confirm', False),
        ('server migration revert', True),
    ):
        source = host_of(cloud, server)
        admin.run('server migrate', '--wait', server)
        cloud.wait_status(server, 'VERIFY_RESIZE')
        admin.run(command, server)
        cloud.wait_status(server, 'ACTIVE')
        assert (host_of(cloud, server) == source) == home, command
    found = admin.show('server migration list', '--server', server, '--type', 'cold-migration')
    assert sorted(one['Status'] for one in found) == [
        'confirmed', 'confirmed', 'reverted', 'reverted'
    ]  # fmt: skip


def test_live(cloud: Cloud, admin: OpenStack, server: str) -> None:
    source = host_of(cloud, server)
    admin.run(
        'server migrate', '--live-migration', '--host', other(source), '--block-migration',
        '--wait', server,
    )  # fmt: skip
    assert host_of(cloud, server) == other(source)
    admin.run('server migrate', '--live-migration', '--wait', server)
    assert host_of(cloud, server) == source
    admin.run('server migrate', '--host', other(source), '--wait', server)
    cloud.wait_status(server, 'VERIFY_RESIZE')
    admin.run('server resize confirm', server)
    cloud.wait_status(server, 'ACTIVE')
    with pytest.raises(Failed, match='nohost'):
        admin.run('server migrate', '--live-migration', '--host', 'nohost', server)


def running(admin: OpenStack, server: str) -> Any:
    return admin.show('server migration list', '--server', server, '--status', 'running')


@pytest.mark.parametrize('how', ['abort', 'force complete'])
def test_steered(cloud: Cloud, admin: OpenStack, server: str, slow: None, how: str) -> None:
    source = host_of(cloud, server)
    admin.run('server migrate', '--live-migration', server)
    (found,) = wait(lambda: running(admin, server), 'the migration runs')
    if how == 'abort':
        admin.run('server migration abort', server, found['Id'])
    else:
        admin.run('server migration force complete', server, found['Id'])
    cloud.wait_status(server, 'ACTIVE')
    assert (host_of(cloud, server) == source) == (how == 'abort')
    (ended,) = admin.show('server migration list', '--server', server)
    assert ended['Status'] == ('cancelled' if how == 'abort' else 'completed')


def test_lists_of_migrations(cloud: Cloud, admin: OpenStack, server: str) -> None:
    admin.run('server migrate', '--live-migration', '--wait', server)
    ask = ('server migration list', '--server', server)
    (one,) = admin.show(*ask, '--host', host_of(cloud, server))
    assert (one['Type'], one['Server UUID']) == ('live-migration', server)
    assert admin.show(*ask, '--changes-since', '2099-01-01T00:00:00Z') == []
    assert admin.show(*ask, '--changes-before', '2001-01-01T00:00:00Z') == []
    assert len(admin.show(*ask, '--project', 'admin', '--user', 'admin')) == 1
    assert len(admin.show(*ask, '--limit', 1)) == 1
    assert admin.show(*ask, '--marker', one['UUID']) == []
    with pytest.raises(Failed, match='403'):
        OpenStack({**admin.auth, 'username': 'demo', 'project_name': 'demo'}, '2.96').run(
            'server migration list'
        )


def test_evacuate(cloud: Cloud, admin: OpenStack, server: str) -> None:
    """Without --wait, with which the client never finds the status that it waits for."""
    source = host_of(cloud, server)
    admin.run('compute service set', '--down', source, 'nova-compute')
    try:
        admin.at('2.29').run('server evacuate', '--host', other(source), server)
        cloud.wait_status(server, 'ACTIVE')
        assert host_of(cloud, server) == other(source)
    finally:
        admin.run('compute service set', '--up', source, 'nova-compute')
