"""Named check strings, and oslo.policy's view of the declared operations.

A rule's name, default and scope stand beside its operation; this module adds the base
rules that the defaults refer to.
"""

import time
from collections.abc import Hashable
from typing import Any, NamedTuple

import msgspec
from oslo_config import cfg
from oslo_policy import policy

ADMIN = 'rule:context_is_admin'
PROJECT_MANAGER_OR_ADMIN = 'rule:project_manager_or_admin'
PROJECT_MEMBER_OR_ADMIN = 'rule:project_member_or_admin'
PROJECT_READER_OR_ADMIN = 'rule:project_reader_or_admin'
SERVICE_OR_ADMIN = 'rule:service_or_admin'
USER_OR_ADMIN = '(rule:context_is_admin) or user_id:%(user_id)s'
ANY = '@'
NOBODY = '!'

OLD_ADMIN = 'rule:admin_api'
OLD_OWNER = 'rule:admin_or_owner'

PROJECT_SCOPE = ('project',)


class SoftRule(NamedTuple):
    """A rule that refuses nothing by itself but shapes what an answer holds or a request may ask."""

    name: str
    check: str
    description: str
    replaces: tuple[str, str] | None = None


_OLD_OWNER_CHECK = 'is_admin:True or project_id:%(project_id)s'
_OLD = {
    'rule:admin_api': ('rule:admin_api', 'is_admin:True'),
    'rule:admin_or_owner': ('rule:admin_or_owner', _OLD_OWNER_CHECK),
}
_SINCE = '21.0.0'
# Rules that were split later than the most.
_SPLIT_LATER = {
    'os_compute_api:os-volumes': '22.0.0',
    'os_compute_api:os-security-groups': '22.0.0',
    'os_compute_api:os-hosts': '22.0.0',
    'os_compute_api:os-floating-ips': '22.0.0',
    'os_compute_api:os-tenant-networks': '22.0.0',
    'os_compute_api:os-networks:view': '22.0.0',
    'os_compute_api:os-baremetal-nodes': '22.0.0',
    'os_compute_api:os-multinic': '22.0.0',
    'os_compute_api:os-flavor-extra-specs:index': '25.0.0',
    'os_compute_api:os-migrations:index': '32.0.0',
    'os_compute_api:servers:migrations:index': '32.0.0',
    'os_compute_api:os-migrate-server:migrate_live': '32.0.0',
}
_REASON = 'Reader, member and manager roles took the place of "admin or same project".'

# name, check, what it stood for before roles, description
_BASE: list[tuple[str, str, str | None, str]] = [
    ('context_is_admin', 'role:admin', 'rule:admin_api', 'Who counts as an administrator.'),
    (
        'project_manager_api',
        'role:manager and project_id:%(project_id)s',
        'rule:admin_api',
        'Managers of the project that owns the resource.',
    ),
    (
        'project_member_api',
        'role:member and project_id:%(project_id)s',
        'rule:admin_or_owner',
        'Members of the project that owns the resource.',
    ),
    (
        'project_reader_api',
        'role:reader and project_id:%(project_id)s',
        'rule:admin_or_owner',
        'Readers of the project that owns the resource.',
    ),
    ('service_api', 'role:service', 'rule:admin_api', 'Other services of the cloud.'),
    (
        'project_manager_or_admin',
        'rule:project_manager_api or rule:context_is_admin',
        'rule:admin_api',
        'Managers of the project, and administrators.',
    ),
    (
        'project_member_or_admin',
        'rule:project_member_api or rule:context_is_admin',
        'rule:admin_or_owner',
        'Members of the project, and administrators.',
    ),
    (
        'project_reader_or_admin',
        'rule:project_reader_api or rule:context_is_admin',
        'rule:admin_or_owner',
        'Readers of the project, and administrators.',
    ),
    (
        'service_or_admin',
        'rule:service_api or rule:context_is_admin',
        'rule:admin_api',
        'Other services of the cloud, and administrators.',
    ),
]


def _deprecated(old: tuple[str, str] | None) -> policy.DeprecatedRule | None:
    if old is None:
        return None
    return policy.DeprecatedRule(
        name=old[0],
        check_str=old[1],
        deprecated_reason=_REASON,
        deprecated_since=_SPLIT_LATER.get(old[0], _SINCE),
    )


def base_rules() -> list[policy.RuleDefault]:
    """Return the rules that no operation has but defaults are built from."""
    rules = [
        policy.RuleDefault(
            name, check, description=text, deprecated_rule=_deprecated(_OLD[old] if old else None)
        )
        for name, check, old, text in _BASE
    ]
    rules += [
        policy.RuleDefault(
            name, check, description='Old default.', deprecated_for_removal=True,
            deprecated_reason=_REASON, deprecated_since=_SINCE,
        )
        for name, check in (('admin_or_owner', _OLD_OWNER_CHECK), ('admin_api', 'is_admin:True'))
    ]  # fmt: skip
    return rules


def list_rules() -> list[policy.RuleDefault]:
    """Return every rule once: what oslopolicy-sample-generator and ``nova-policy`` show."""
    from kilonova.api import operation, resources

    resources.load()
    found: dict[str, dict[str, Any]] = {}
    for one in operation.REGISTRY:
        where = {'method': one.method, 'path': _documented(one)}
        for rule in one.all_rules():
            known = found.setdefault(rule.name, {'rule': rule, 'operations': []})
            if where not in known['operations']:
                known['operations'].append(where)
    return base_rules() + [_documented_rule(**known) for known in found.values()]


def _documented(one: Any) -> str:
    return f'{one.path} ({one.action})' if one.action else one.path


def _documented_rule(rule: SoftRule, operations: list[policy.Operation]) -> policy.RuleDefault:
    return policy.DocumentedRuleDefault(
        rule.name,
        rule.check,
        rule.description,
        operations,
        scope_types=list(PROJECT_SCOPE),
        deprecated_rule=_deprecated(rule.replaces),
    )


class Enforcer(policy.Enforcer):
    """An enforcer that knows for a moment what it has decided.

    Each decision looks at the operator's files and walks a tree of checks, which costs more than
    all else that a read does in this process, and the same few are asked for again and again.
    """

    KEPT = 1.0
    """Seconds after which a change of the operator's files counts for everybody."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._decided: dict[Hashable, bool] = {}
        self._until = 0.0

    def allows(self, rule: str, project_id: Any, user_id: Any, credentials: dict[str, Any]) -> bool:
        """Tell whether who has the credentials may do it to what the project or user has."""
        now = time.monotonic()
        if now > self._until:
            self._decided, self._until = {}, now + self.KEPT
        key = (rule, project_id, user_id, msgspec.json.encode(credentials))
        known = self._decided.get(key)
        if known is None:
            target = {'project_id': project_id, 'user_id': user_id}
            known = self._decided[key] = bool(self.enforce(rule, target, credentials))
        return known


def get_enforcer(conf: cfg.ConfigOpts | None = None) -> Enforcer:
    """Return an enforcer that knows all rules; the policy tools call it without ``conf``."""
    if conf is None:
        conf = cfg.CONF
        if not conf.config_file:
            conf([], project='nova')
    enforcer = Enforcer(conf)
    enforcer.register_defaults(list_rules())
    return enforcer
