"""How much work an operation may cause.  A number that grows fails the test; see architecture."""

import time

from kilonova.tests.functional.cloud import Cloud, Counts, wait

# Nothing that goes on by the clock is to be counted.
CLOUD = {
    'extra': """
[DEFAULT]
report_interval = 3600
service_down_time = 36000
[operations]
sweep_interval = 3600
"""
}

BOOT_RPC = {
    'call create_servers': 1,
    'call select_destinations': 1,
    'cast build_server': 1,
    'call build_finished': 1,
}
DELETE_RPC = {
    'call get_server': 1,
    'call delete_server': 1,
    'cast terminate_server': 1,
    'call delete_finished': 1,
}
BOOT_SQL, DELETE_SQL = 25, 16


def _tally(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in words}


def _quiet(counts: Counts, last: str) -> None:
    """Wait for the last message and until no statement follows; polling would be counted."""
    wait(lambda: last in counts.rpc, last)
    before = -1
    while before != len(counts.sql):
        before = len(counts.sql)
        time.sleep(0.4)


def test_boot_and_delete(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.wait_status(cloud.boot(flavor, image), 'ACTIVE')  # caches are warm after this one
    with cloud.counted() as boot:
        uuid = cloud.boot(flavor, image)
        _quiet(boot, 'call build_finished')
    assert cloud.get(f'/servers/{uuid}')['server']['status'] == 'ACTIVE'
    assert _tally(boot.rpc) == BOOT_RPC
    assert [m for m, _ in boot.placement] == ['PUT']
    assert boot.neutron == []
    assert len(boot.sql) <= BOOT_SQL, '\n'.join(boot.sql)

    with cloud.counted() as delete:
        assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
        _quiet(delete, 'call delete_finished')
    assert cloud.call('GET', f'/servers/{uuid}').status == 404
    assert _tally(delete.rpc) == DELETE_RPC
    assert [m for m, _ in delete.placement] == ['DELETE']
    assert len(delete.sql) <= DELETE_SQL, '\n'.join(delete.sql)


def test_it_does_not_grow_with_the_servers_on_the_host(
    cloud: Cloud, flavor: str, image: str
) -> None:
    seen = set()
    for _ in range(4):
        with cloud.counted() as boot:
            cloud.boot(flavor, image)
            _quiet(boot, 'call build_finished')
        seen.add((len(boot.sql), len(boot.placement)))
    assert len(seen) == 1


def test_a_list_is_one_call_and_two_statements(cloud: Cloud, flavor: str, image: str) -> None:
    for _ in range(3):
        cloud.wait_status(cloud.boot(flavor, image), 'ACTIVE')
    with cloud.counted() as listing:
        servers = cloud.get('/servers/detail')['servers']
    assert len(servers) >= 3
    assert listing.rpc == ['call list_servers']
    assert len(listing.sql) <= 2, '\n'.join(listing.sql)
    with cloud.counted() as show:
        cloud.get(f'/servers/{servers[0]["id"]}')
    assert show.rpc == ['call get_server']
    assert len(show.sql) <= 3, '\n'.join(show.sql)
