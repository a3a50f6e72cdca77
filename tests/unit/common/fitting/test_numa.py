"""Guests' nodes on hosts' nodes."""

import pytest

from kilonova.common.fitting import numa
from kilonova.common.fitting.guest import GuestNode, Wish
from kilonova.common.objects.numa import HostCell, HostTopology, NumaNode, NumaTopology

GIB = 1024**2


def host(cells=2, threads=2, cores=4, memory_mb=8192, **changes) -> HostTopology:
    """Cells of ``cores`` cores for dedicated CPUs and as many CPUs to share."""
    found = []
    for number in range(cells):
        first = number * 100
        cpus = list(range(first, first + cores * threads))
        fields = {
            'cpus': [cpu + 50 for cpu in cpus],
            'pcpus': cpus,
            'memory_mb': memory_mb,
            'siblings': [cpus[i : i + threads] for i in range(0, len(cpus), threads)],
            'pages': {4: memory_mb * 256 // 2, 2048: memory_mb // 4},
            'socket': number // 2,
        }
        found.append(HostCell(id=number, **{**fields, **changes}))
    return HostTopology(cells=found)


def pinned(nodes=1, cpus=2, memory_mb=1024, **changes) -> Wish:
    return Wish(
        nodes=[
            GuestNode(
                list(range(i * cpus, (i + 1) * cpus)),
                memory_mb,
                list(range(i * cpus, (i + 1) * cpus)),
            )
            for i in range(nodes)
        ],
        **changes,
    )


def misfit(*args, **kwargs) -> str:
    with pytest.raises(numa.Misfit) as caught:
        numa.fit(*args, **kwargs)
    return str(caught.value)


def test_each_node_on_one_of_its_own():
    found = numa.fit(pinned(nodes=2), host(), [])
    assert sorted(node.id for node in found.nodes) == [0, 1]
    assert [node.vcpus for node in found.nodes] == [[0, 1], [2, 3]]


def test_threads_of_a_core_go_together():
    [node] = numa.fit(pinned(cpus=4), host(cells=1), []).nodes
    assert node.cpu_pinning == {0: 0, 1: 1, 2: 2, 3: 3}
    assert node.siblings == [[0, 1], [2, 3]]


def test_isolate_keeps_the_other_thread_idle():
    there = numa.fit(pinned(thread_policy='isolate'), host(cells=1), [])
    [node] = there.nodes
    assert node.cpu_pinning == {0: 0, 1: 2}
    assert node.reserved == [1, 3]
    more = numa.fit(pinned(cpus=4), host(cells=1), [there])
    assert more.nodes[0].taken == {4, 5, 6, 7}
    assert 'dedicated CPUs free' in misfit(pinned(cpus=1), host(cells=1), [there, more])


def test_require_needs_threads():
    assert misfit(pinned(thread_policy='require'), host(threads=1), []).endswith('(require)')
    assert misfit(pinned(cpus=3, thread_policy='require'), host(), []).endswith('(require)')


def test_emulator_threads_have_a_cpu_of_their_own():
    wish = pinned(cpus=6, isolates_emulator=True)
    found = numa.fit(wish, host(cells=1), [])
    assert found.emulator_cpus == [6]
    assert 'emulator' in misfit(pinned(cpus=8, isolates_emulator=True), host(cells=1), [])


def test_guests_never_share_dedicated_cpus():
    where, there = host(), []
    for _ in range(8):
        there.append(numa.fit(pinned(), where, there))
    taken = [cpu for guest in there for node in guest.nodes for cpu in node.taken]
    assert len(taken) == len(set(taken)) == 16
    assert 'dedicated CPUs free' in misfit(pinned(cpus=1), where, there)


def test_huge_pages_are_counted():
    wish = Wish(nodes=[GuestNode([0], 3072)], page_size='large')
    where = host(cells=1, pages={4: 1000, 2048: 2048})
    there = [numa.fit(wish, where, [])]
    assert there[0].nodes[0].pagesize_kb == 2048
    assert misfit(wish, where, there) == 'no large pages free'


def test_exact_page_size():
    wish = Wish(nodes=[GuestNode([0], 1024)], page_size=GIB)
    assert misfit(wish, host(), []) == 'no 1 GiB pages free'
    assert numa.fit(wish, host(pages={GIB: 1}), []).nodes[0].pagesize_kb == GIB


def test_any_falls_back_to_ordinary_pages():
    wish = Wish(nodes=[GuestNode([0], 1024)], page_size='any')
    assert numa.fit(wish, host(pages={4: GIB, 2048: 1}), []).nodes[0].pagesize_kb == 4


def test_shared_cpus_follow_the_ratio():
    wish = Wish(nodes=[GuestNode([0, 1, 2, 3], 512)])
    where = host(cells=1, cores=2)
    there = [numa.fit(wish, where, [])]
    assert 'shared CPUs free' in misfit(wish, where, there)
    assert numa.fit(wish, where, there, numa.Ratios(2.0, 1.0)).nodes[0].id == 0
    big = Wish(nodes=[GuestNode(list(range(5)), 512)])
    assert '5 shared CPUs' in misfit(big, where, [], numa.Ratios(9.0, 1.0))


def test_memory_of_a_node():
    assert '9000 MB' in misfit(pinned(memory_mb=9000), host(), [])
    there = [NumaTopology(nodes=[NumaNode(id=i, vcpus=[0], memory_mb=8000)]) for i in (0, 1)]
    assert misfit(pinned(), host(), there).endswith('free')


def test_emptiest_first_unless_packed():
    there = [NumaTopology(nodes=[NumaNode(id=0, vcpus=[0], memory_mb=64, cpu_pinning={0: 0})])]
    assert numa.fit(pinned(), host(), there).nodes[0].id == 1
    assert numa.fit(pinned(), host(), there, pack=True).nodes[0].id == 0


def test_without_topology():
    assert misfit(pinned(), None, []) == 'no NUMA topology reported'
    assert misfit(pinned(nodes=3), host(), []) == 'only 2 NUMA nodes'


def test_a_node_that_only_one_cell_can_take_is_not_blocked():
    where = HostTopology(
        cells=[
            HostCell(id=0, pcpus=[0, 1, 2, 3], memory_mb=4096),
            HostCell(id=1, pcpus=[4, 5], memory_mb=4096),
        ]
    )
    wish = Wish(nodes=[GuestNode([0], 64, [0]), GuestNode([1, 2, 3], 64, [1, 2, 3])])
    assert [node.id for node in numa.fit(wish, where, []).nodes] == [1, 0]
