"""Every route of Nova's table is there as the table says, and nothing else is."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.api import operation, resources, versions
from kilonova.api.operation import Operation
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.reference import Key, Row

pytestmark = reference.needed
CLOUD: dict[str, Any] = {}

# Routes of the table that nobody has written yet.  It only shrinks: what is there must go.
NOT_YET = """
GET /images
GET /images/detail
GET /images/{id}
DELETE /images/{id}
GET /images/{image_id}/metadata
POST /images/{image_id}/metadata
PUT /images/{image_id}/metadata
GET /images/{image_id}/metadata/{id}
PUT /images/{image_id}/metadata/{id}
DELETE /images/{image_id}/metadata/{id}
GET /os-agents
POST /os-agents
PUT /os-agents/{id}
DELETE /os-agents/{id}
POST /os-aggregates/{id}/images
POST /os-assisted-volume-snapshots
DELETE /os-assisted-volume-snapshots/{id}
GET /os-baremetal-nodes
POST /os-baremetal-nodes
GET /os-baremetal-nodes/{id}
DELETE /os-baremetal-nodes/{id}
POST /os-baremetal-nodes/{id}/action add_interface
POST /os-baremetal-nodes/{id}/action remove_interface
POST /os-cells
GET /os-cells
GET /os-cells/capacities
GET /os-cells/detail
GET /os-cells/info
POST /os-cells/sync_instances
GET /os-cells/{id}
PUT /os-cells/{id}
DELETE /os-cells/{id}
GET /os-cells/{id}/capacities
POST /os-certificates
GET /os-certificates/{id}
GET /os-cloudpipe
POST /os-cloudpipe
PUT /os-cloudpipe/{id}
GET /os-console-auth-tokens/{id}
GET /os-fixed-ips/{id}
POST /os-fixed-ips/{id}/action reserve
POST /os-fixed-ips/{id}/action unreserve
GET /os-floating-ip-dns
PUT /os-floating-ip-dns/{id}
DELETE /os-floating-ip-dns/{id}
GET /os-floating-ip-dns/{domain_id}/entries/{id}
PUT /os-floating-ip-dns/{domain_id}/entries/{id}
DELETE /os-floating-ip-dns/{domain_id}/entries/{id}
GET /os-floating-ip-pools
GET /os-floating-ips
POST /os-floating-ips
GET /os-floating-ips/{id}
DELETE /os-floating-ips/{id}
GET /os-floating-ips-bulk
POST /os-floating-ips-bulk
GET /os-floating-ips-bulk/{id}
PUT /os-floating-ips-bulk/{id}
GET /os-fping
GET /os-fping/{id}
GET /os-hosts
GET /os-hosts/{id}
PUT /os-hosts/{id}
GET /os-hosts/{id}/reboot
GET /os-hosts/{id}/shutdown
GET /os-hosts/{id}/startup
GET /os-instance_usage_audit_log
GET /os-instance_usage_audit_log/{id}
GET /os-migrations
GET /os-networks
POST /os-networks
POST /os-networks/add
GET /os-networks/{id}
DELETE /os-networks/{id}
POST /os-networks/{id}/action disassociate
POST /os-networks/{id}/action associate_host
POST /os-networks/{id}/action disassociate_host
POST /os-networks/{id}/action disassociate_project
GET /os-security-group-default-rules
POST /os-security-group-default-rules
GET /os-security-group-default-rules/{id}
DELETE /os-security-group-default-rules/{id}
POST /os-security-group-rules
DELETE /os-security-group-rules/{id}
GET /os-security-groups
POST /os-security-groups
GET /os-security-groups/{id}
PUT /os-security-groups/{id}
DELETE /os-security-groups/{id}
GET /os-server-groups
POST /os-server-groups
GET /os-server-groups/{id}
DELETE /os-server-groups/{id}
GET /os-simple-tenant-usage
GET /os-simple-tenant-usage/{id}
GET /os-snapshots
POST /os-snapshots
GET /os-snapshots/detail
GET /os-snapshots/{id}
DELETE /os-snapshots/{id}
GET /os-tenant-networks
POST /os-tenant-networks
GET /os-tenant-networks/{id}
DELETE /os-tenant-networks/{id}
GET /os-volumes
POST /os-volumes
GET /os-volumes/detail
GET /os-volumes/{id}
DELETE /os-volumes/{id}
GET /os-volumes_boot
POST /os-volumes_boot
GET /os-volumes_boot/detail
GET /os-volumes_boot/{id}
PUT /os-volumes_boot/{id}
DELETE /os-volumes_boot/{id}
POST /os-volumes_boot/{id}/action confirmResize
POST /os-volumes_boot/{id}/action createImage
POST /os-volumes_boot/{id}/action os-start
POST /os-volumes_boot/{id}/action os-stop
POST /os-volumes_boot/{id}/action reboot
POST /os-volumes_boot/{id}/action rebuild
POST /os-volumes_boot/{id}/action resize
POST /os-volumes_boot/{id}/action revertResize
POST /os-volumes_boot/{id}/action trigger_crash_dump
POST /servers/{id}/action confirmResize
POST /servers/{id}/action createImage
POST /servers/{id}/action rebuild
POST /servers/{id}/action resize
POST /servers/{id}/action revertResize
POST /servers/{id}/action trigger_crash_dump
POST /servers/{id}/action injectNetworkInfo
POST /servers/{id}/action os-resetState
POST /servers/{id}/action resetNetwork
POST /servers/{id}/action changePassword
POST /servers/{id}/action createBackup
POST /servers/{id}/action restore
POST /servers/{id}/action evacuate
POST /servers/{id}/action addFloatingIp
POST /servers/{id}/action removeFloatingIp
POST /servers/{id}/action lock
POST /servers/{id}/action unlock
POST /servers/{id}/action migrate
POST /servers/{id}/action os-migrateLive
POST /servers/{id}/action addFixedIp
POST /servers/{id}/action removeFixedIp
POST /servers/{id}/action os-getRDPConsole
POST /servers/{id}/action os-getSPICEConsole
POST /servers/{id}/action os-getSerialConsole
POST /servers/{id}/action os-getVNCConsole
POST /servers/{id}/action rescue
POST /servers/{id}/action unrescue
POST /servers/{id}/action addSecurityGroup
POST /servers/{id}/action removeSecurityGroup
POST /servers/{id}/action shelve
POST /servers/{id}/action shelveOffload
POST /servers/{id}/action unshelve
GET /servers/{server_id}/consoles
POST /servers/{server_id}/consoles
GET /servers/{server_id}/consoles/{id}
DELETE /servers/{server_id}/consoles/{id}
GET /servers/{server_id}/diagnostics
GET /servers/{server_id}/migrations
GET /servers/{server_id}/migrations/{id}
DELETE /servers/{server_id}/migrations/{id}
POST /servers/{server_id}/migrations/{id}/action force_complete
GET /servers/{server_id}/os-interface
POST /servers/{server_id}/os-interface
GET /servers/{server_id}/os-interface/{id}
DELETE /servers/{server_id}/os-interface/{id}
GET /servers/{server_id}/os-server-password
DELETE /servers/{server_id}/os-server-password
GET /servers/{server_id}/os-virtual-interfaces
GET /servers/{server_id}/os-volume_attachments
POST /servers/{server_id}/os-volume_attachments
GET /servers/{server_id}/os-volume_attachments/{id}
PUT /servers/{server_id}/os-volume_attachments/{id}
DELETE /servers/{server_id}/os-volume_attachments/{id}
POST /servers/{server_id}/remote-consoles
GET /servers/{server_id}/os-security-groups
GET /servers/{server_id}/shares
POST /servers/{server_id}/shares
GET /servers/{server_id}/shares/{id}
DELETE /servers/{server_id}/shares/{id}
GET /servers/{server_id}/topology
""".strip().splitlines()

resources.load()
ROWS = reference.route_rows()
WRITTEN = [row for row in ROWS if str(row) not in NOT_YET]
LIVE = [row for row in WRITTEN if not row.is_removed]
REMOVED = [row for row in WRITTEN if row.is_removed]
# Ports are bound in the end, but who may use which network is asked before.
ASKED_EARLIER = {'network:attach_external_network'}


def _ours() -> dict[Key, list[Operation]]:
    found: dict[Key, list[Operation]] = {}
    for one in operation.REGISTRY:
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
    assert sorted(set(OURS) - {row.shaped for row in ROWS}, key=str) == []


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
    assert {one.rule or '' for one in ours} <= (row.refusing or {''})
    names = {rule.name for one in ours for rule in one.all_rules()}
    assert row.enforced <= names
    assert names <= row.enforced | row.documented | ASKED_EARLIER


@pytest.mark.parametrize('row', REMOVED, ids=str)
def test_says_that_it_is_gone(cloud: Cloud, row: Row) -> None:
    method, path, action = row.key
    answer = cloud.admin(
        method, reference.shape(path).replace('{}', '1'), {action: None} if action else None,
        version=str(row.since),
    )  # fmt: skip
    assert answer.status in (row.statuses(row.since) or {400}), answer.text
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
