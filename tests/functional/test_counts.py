"""How much work an operation may cause.  A number that grows fails the test; see architecture."""

from kilonova.tests.functional.cloud import Cloud

BOOT_RPC = {
    'call create_servers': 1,
    'call select_destinations': 1,
    'cast build_server': 1,
    'call build_finished': 1,
}


def _tally(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in words}


def test_boot_and_delete(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.wait_status(cloud.boot(flavor, image), 'ACTIVE')  # caches are warm after this one
    with cloud.counted() as boot:
        uuid = cloud.boot(flavor, image)
        _settle(cloud, uuid)
    calls = [word for word in boot.rpc if word != 'call get_server']
    assert _tally(calls) == BOOT_RPC
    assert [m for m, _ in boot.placement] == ['GET', 'PUT']
    assert boot.neutron == []
    assert len(boot.sql) - boot.rpc.count('call get_server') * 2 <= 25, '\n'.join(boot.sql)

    with cloud.counted() as delete:
        assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
        cloud.wait_gone(uuid)
    calls = [word for word in delete.rpc if word != 'call get_server']
    assert _tally(calls) == {
        'call delete_server': 1,
        'cast terminate_server': 1,
        'call delete_finished': 1,
    }
    assert [m for m, _ in delete.placement] == ['DELETE']
    assert len(delete.sql) - delete.rpc.count('call get_server') * 2 <= 15, '\n'.join(delete.sql)


def test_it_does_not_grow_with_the_servers_on_the_host(
    cloud: Cloud, flavor: str, image: str
) -> None:
    seen = []
    for _ in range(3):
        with cloud.counted() as boot:
            _settle(cloud, cloud.boot(flavor, image))
        seen.append((len(boot.sql) - boot.rpc.count('call get_server') * 2, len(boot.placement)))
    assert len(set(seen)) == 1, seen


def test_a_list_is_one_call_and_two_statements(cloud: Cloud, flavor: str, image: str) -> None:
    for _ in range(3):
        _settle(cloud, cloud.boot(flavor, image))
    with cloud.counted() as listing:
        servers = cloud.get('/servers/detail')['servers']
    assert len(servers) >= 3
    assert listing.rpc == ['call list_servers']
    assert len(listing.sql) <= 2, '\n'.join(listing.sql)
    with cloud.counted() as show:
        cloud.get(f'/servers/{servers[0]["id"]}')
    assert show.rpc == ['call get_server']
    assert len(show.sql) <= 2, '\n'.join(show.sql)


def _settle(cloud: Cloud, uuid: str) -> None:
    cloud.wait_status(uuid, 'ACTIVE')
