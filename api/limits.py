"""A project's limits, and how much of them is used."""

from typing import Any

from kilonova.api import params, quota_fields
from kilonova.api.operation import operation
from kilonova.api.params import values
from kilonova.api.policies import ADMIN, ANY, OLD_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.versions import Version

OTHER_PROJECT = SoftRule(
    'os_compute_api:limits:other_project',
    ADMIN,
    'Show the limits of another project.',
    ('os_compute_api:os-used-limits', OLD_ADMIN),
)
QUERY = params.query_since_275({'tenant_id': values(params.STRING)})

# name in the answer -> (resource, whether it is the usage, last version that shows it)
_SHOWN: dict[str, tuple[str, bool, Version | None]] = {
    'maxTotalInstances': ('instances', False, None),
    'maxTotalCores': ('cores', False, None),
    'maxTotalRAMSize': ('ram', False, None),
    'maxTotalKeypairs': ('key_pairs', False, None),
    'maxServerMeta': ('metadata_items', False, None),
    'maxServerGroups': ('server_groups', False, None),
    'maxServerGroupMembers': ('server_group_members', False, None),
    'maxImageMeta': ('metadata_items', False, Version(2, 38)),
    'maxPersonality': ('injected_files', False, Version(2, 56)),
    'maxPersonalitySize': ('injected_file_content_bytes', False, Version(2, 56)),
    'maxSecurityGroups': ('security_groups', False, Version(2, 35)),
    'maxSecurityGroupRules': ('security_group_rules', False, Version(2, 35)),
    'maxTotalFloatingIps': ('floating_ips', False, Version(2, 35)),
    'totalInstancesUsed': ('instances', True, None),
    'totalCoresUsed': ('cores', True, None),
    'totalRAMUsed': ('ram', True, None),
    'totalServerGroupsUsed': ('server_groups', True, None),
    'totalSecurityGroupsUsed': ('security_groups', True, Version(2, 35)),
    'totalFloatingIpsUsed': ('floating_ips', True, Version(2, 35)),
}


@operation('GET', '/limits', query=QUERY, rule='os_compute_api:limits', check=ANY,
           soft_rules=[OTHER_PROJECT])  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """Show limits."""
    project = request.query.one('tenant_id')
    if project is None:
        project = request.context.project_id or ''
    elif project != request.context.project_id:
        request.can(OTHER_PROJECT.name, project_id=project)
    quotas = request.conductor.get_quotas(request.context, project, usage=True)
    absolute = {}
    for name, (resource, is_usage, until) in _SHOWN.items():
        if until is not None and request.version > until:
            continue
        if is_usage:
            absolute[name] = quotas.in_use.get(resource, 0)
        else:
            absolute[name] = quotas.limits.get(resource, quota_fields.UNLIMITED)
    return {'limits': {'rate': [], 'absolute': absolute}}
