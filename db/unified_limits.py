"""Limits that Keystone keeps, under the names that our quotas have.

``[quota]unified_limits_resource_strategy`` decides what holds for a resource that has no
registered limit: ``require`` refuses the listed ones and lets the others be, ``ignore`` does
the contrary.
"""

from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.clients import limits

DRIVER = 'nova.quota.UnifiedLimitsDriver'
CLASS = 'class:'
NAMES = {
    'instances': 'servers',
    'cores': 'class:VCPU',
    'ram': 'class:MEMORY_MB',
    'metadata_items': 'server_metadata_items',
    'injected_files': 'server_injected_files',
    'injected_file_content_bytes': 'server_injected_file_content_bytes',
    'injected_file_path_bytes': 'server_injected_file_path_bytes',
    'key_pairs': 'server_key_pairs',
    'server_groups': 'server_groups',
    'server_group_members': 'server_group_members',
}
"""Our resource to the one that Keystone limits."""


def is_on(conf: cfg.ConfigOpts) -> bool:
    return bool(conf.quota.driver == DRIVER)


def defaults(conf: cfg.ConfigOpts) -> dict[str, int]:
    """Return what projects have that nobody set limits for."""
    return _named(conf, limits.registered(conf))


def of_project(conf: cfg.ConfigOpts, project_id: str) -> dict[str, int]:
    return _named(conf, limits.of_project(conf, project_id))


def _named(conf: cfg.ConfigOpts, known: dict[str, int]) -> dict[str, int]:
    return {
        ours: known[theirs] if theirs in known else unset(conf, theirs)
        for ours, theirs in NAMES.items()
    }


def unset(conf: cfg.ConfigOpts, name: str) -> int:
    """Return the limit of what Keystone has none for: 0 or -1."""
    listed = name in conf.quota.unified_limits_resource_list
    required = conf.quota.unified_limits_resource_strategy == 'require'
    return 0 if listed == required else -1


def exceeded(
    project_id: str,
    overs: list[str],
    wanted: dict[str, int],
    used: dict[str, int],
    allowed: dict[str, int],
) -> exception.ProjectOverLimit:
    """Return the error, with the names that the operator knows."""
    texts = [
        f'Resource {NAMES.get(name, name)} is over limit of {allowed[name]} due to current usage '
        f'{used[name]} and delta {wanted[name]}'
        for name in overs
    ]
    return exception.ProjectOverLimit(project_id=project_id, overs=', '.join(texts))
