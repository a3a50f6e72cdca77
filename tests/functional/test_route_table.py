"""Every route of Nova's table is there as the table says, and nothing else is."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.api import operation, policies, resources, versions
from kilonova.api.operation import Operation
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.reference import Key, Row

pytestmark = reference.needed
CLOUD: dict[str, Any] = {}

# Routes of the table that nobody has written yet.  It only shrinks: what is there must go.
NOT_YET = """
""".strip().splitlines()

resources.load()
ROWS = reference.route_rows()
WRITTEN = [row for row in ROWS if str(row) not in NOT_YET]
LIVE = [row for row in WRITTEN if not row.is_removed]
REMOVED = [row for row in WRITTEN if row.is_removed]
# Ports are bound in the end, but who may use which network is asked before.
ASKED_EARLIER = {'network:attach_external_network'}


# What a running Nova answers where the table has something else.
SEEN = {'os-getRDPConsole': {400}}

# What Nova has not, below a prefix that it does not have either.
OWN = '/kilonova/'


def _is_our_own(rule: str) -> bool:
    return rule.startswith(OWN.strip('/') + ':')


def _ours() -> dict[Key, list[Operation]]:
    found: dict[Key, list[Operation]] = {}
    for one in operation.REGISTRY:
        if one.path.startswith(OWN):
            continue
        found.setdefault((one.method, reference.shape(one.path), one.action), []).append(one)
    return found


OURS = _ours()


def _boundaries(operations: list[Operation], row: Row) -> Iterator[versions.Version]:
    """Yield the first and last version of each of our ranges and of the table's."""
    both: list[Operation | Row] = [*operations, row]
    for one in both:
        yield from (max(one.since, versions.MIN), one.until)


def test_what_is_there_is_not_listed_as_missing() -> None:
    assert [str(row) for row in ROWS if str(row) in NOT_YET and row.shaped in OURS] == []
    assert sorted(set(NOT_YET) - {str(row) for row in ROWS}) == []


def test_nothing_is_there_that_the_table_does_not_have() -> None:
    extra = {route for route in OURS if not route[1].startswith('/kilonova/')}
    assert sorted(extra - {row.shaped for row in ROWS}, key=str) == []


@pytest.mark.parametrize('row', LIVE, ids=str)
def test_is_there(row: Row) -> None:
    assert row.shaped in OURS


@pytest.mark.parametrize('row', LIVE, ids=str)
def test_at_its_versions(row: Row) -> None:
    """Our ranges cover the table's without a gap, and no more."""
    ranges = sorted((max(one.since, versions.MIN), one.until) for one in OURS[row.shaped]
                    if one.until >= versions.MIN)  # fmt: skip
    assert (ranges[0][0], ranges[-1][1]) == (row.since, row.until)
    for (_, until), (since, _) in zip(ranges, ranges[1:], strict=False):
        assert since == (until.major, until.minor + 1)


@pytest.mark.parametrize('row', LIVE, ids=str)
def test_with_its_success_code(row: Row) -> None:
    for version in set(_boundaries(OURS[row.shaped], row)):
        found = {one.success for one in OURS[row.shaped] if one.serves(version)}
        assert found and found <= row.statuses(version), version


@pytest.mark.parametrize('row', LIVE, ids=str)
def test_with_its_policy_rules(row: Row) -> None:
    """The rule that lets a caller in is one that refuses; the others shape what it does."""
    ours = OURS[row.shaped]
    # Which of several rules it is, the body may say: then the handler looks at each.
    by_body = {''} if len(row.refusing) != 1 else set()
    assert {one.rule or '' for one in ours} <= row.refusing | by_body
    names = {rule.name for one in ours for rule in one.all_rules()}
    assert row.enforced <= names
    assert names <= row.enforced | row.documented | ASKED_EARLIER


def test_every_rule_is_registered() -> None:
    """Only a rule whose routes are all missing may be missing."""
    published = {row['rule'] for row in reference.table('policies.csv')}
    later: set[str] = set()
    now: set[str] = set()
    for row in ROWS:
        (later if str(row) in NOT_YET else now).update(row.enforced | row.documented)
    registered = {rule.name for rule in policies.list_rules() if not _is_our_own(rule.name)}
    assert sorted(published - registered - (later - now)) == []
    assert sorted(registered - published) == []


@pytest.mark.parametrize('row', REMOVED, ids=str)
def test_says_that_it_is_gone(cloud: Cloud, row: Row) -> None:
    method, path, action = row.key
    answer = cloud.admin(
        method, reference.shape(path).replace('{}', '1'), {action: None} if action else None,
        version=str(row.since),
    )  # fmt: skip
    statuses = SEEN.get(action or '') or row.statuses(row.since) or {400}
    assert answer.status in statuses, answer.text
    if row.until < versions.MAX:
        after = versions.Version(2, row.until.minor + 1)
        answer = cloud.admin(method, reference.shape(path).replace('{}', '1'),
                             {action: None} if action else None, version=str(after))  # fmt: skip
        assert answer.status == 404, answer.text


@pytest.mark.parametrize(
    'path, status', [('//', 200), ('//nonsense', 300), ('//v2', 200),
                     ('//v2.1', 200), ('//v2.1/', 200)]
)  # fmt: skip
def test_version_documents(cloud: Cloud, path: str, status: int) -> None:
    """What is outside the versions needs no token."""
    assert cloud.call('GET', path, token=None, version=None).status == status
