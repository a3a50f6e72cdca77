"""How much work an operation may cause.  A number that grows fails the test; see architecture."""

from kilonova.tests.functional.cloud import Cloud, Counts

BOOT_RPC = {
    'call create_servers': 1,
    'call select_destinations': 1,
    'cast build_server': 1,
    'call build_finished': 1,
}
DELETE_RPC = {
    'call delete_server': 1,
    'cast terminate_server': 1,
    'call delete_finished': 1,
}
BOOT_SQL, DELETE_SQL = 25, 15


def _tally(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in words}


def _sql(cloud: Cloud, counts: Counts, uuid: str) -> list[str]:
    """Return the statements of what was counted, without those of polling."""
    with cloud.counted() as one:
        cloud.call('GET', f'/servers/{uuid}')
    polls = counts.rpc.count('call get_server')
    left = list(counts.sql)
    for text in one.sql * polls:
        if text in left:
            left.remove(text)
    return left


def test_boot_and_delete(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.wait_status(cloud.boot(flavor, image), 'ACTIVE')  # caches are warm after this one
    with cloud.counted() as boot:
        uuid = cloud.boot(flavor, image)
        cloud.wait_status(uuid, 'ACTIVE')
    calls = [word for word in boot.rpc if word != 'call get_server']
    assert _tally(calls) == BOOT_RPC
    assert [m for m, _ in boot.placement] == ['GET', 'PUT']
    assert boot.neutron == []
    statements = _sql(cloud, boot, uuid)
    assert len(statements) <= BOOT_SQL, '\n'.join(statements)

    with cloud.counted() as delete:
        assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
        cloud.wait_gone(uuid)
    calls = [word for word in delete.rpc if word != 'call get_server']
    assert _tally(calls) == DELETE_RPC
    assert [m for m, _ in delete.placement] == ['DELETE']
    statements = _sql(cloud, delete, uuid)
    assert len(statements) <= DELETE_SQL, '\n'.join(statements)


def test_it_does_not_grow_with_the_servers_on_the_host(
    cloud: Cloud, flavor: str, image: str
) -> None:
    seen = set()
    for _ in range(4):
        with cloud.counted() as boot:
            uuid = cloud.boot(flavor, image)
            cloud.wait_status(uuid, 'ACTIVE')
        seen.add((len(_sql(cloud, boot, uuid)), len(boot.placement)))
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
    assert len(show.sql) <= 2, '\n'.join(show.sql)
