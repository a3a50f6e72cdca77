"""The ``nova-policy`` command: which rules would let somebody in."""

import argparse
import fnmatch
import os
import sys
from collections.abc import Iterable

from kilonova.common import version


def main() -> int:
    """Run a sub-command; 1 when no rule passes."""
    options = _parser().parse_args()
    if options.category == 'version':
        print(version.VERSION)
        return 0
    return _check(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='nova-policy', description=__doc__)
    parser.add_argument('--config-file', action='append', help='nova.conf to read')
    parser.add_argument('--config-dir', action='append', help='directory with *.conf to read')
    for name, default in (
        ('user-id', 'OS_USER_ID'),
        ('project-id', 'OS_PROJECT_ID'),
    ):
        parser.add_argument(f'--os-{name}', default=os.environ.get(default), help='who asks')
    parser.add_argument(
        '--os-roles', default=os.environ.get('OS_ROLES', ''), help='roles, with commas between'
    )
    categories = parser.add_subparsers(dest='category', required=True)
    categories.add_parser('version', help='print the version')
    actions = categories.add_parser('policy', help='look at rules').add_subparsers(
        dest='action', required=True
    )
    check = actions.add_parser('check', help='print the rules that pass')
    check.add_argument('--api-name', help='only rules with this in their name (wildcards allowed)')
    check.add_argument(
        '--target', nargs='+', default=[], metavar='KEY=VALUE',
        help='what is acted on: project_id=… user_id=…',
    )  # fmt: skip
    return parser


def _check(options: argparse.Namespace) -> int:
    from kilonova.api import policies
    from kilonova.api.request import credentials
    from kilonova.common.config import CONF
    from kilonova.common.context import RequestContext

    argv = [word for path in options.config_file or () for word in ('--config-file', path)]
    argv += [word for path in options.config_dir or () for word in ('--config-dir', path)]
    CONF(argv, project='nova', prog='nova-policy')
    enforcer = policies.get_enforcer(CONF)
    context = RequestContext(
        user_id=options.os_user_id,
        project_id=options.os_project_id,
        roles=[role.strip() for role in options.os_roles.split(',') if role.strip()],
        overwrite=False,
    )
    context.is_admin = bool(enforcer.enforce('context_is_admin', {}, credentials(context)))
    target = {'project_id': context.project_id, 'user_id': context.user_id}
    target.update(_pairs(options.target))
    passing = [
        rule
        for rule in _names(enforcer.registered_rules, options.api_name)
        if enforcer.enforce(rule, target, credentials(context))
    ]
    print('\n'.join(passing) or 'No rule matches and passes.')
    return 0 if passing else 1


def _names(rules: Iterable[str], wanted: str | None) -> list[str]:
    # Base rules have no colon; they guard nothing by themselves.
    names = sorted(name for name in rules if ':' in name)
    if wanted is None:
        return names
    pattern = wanted if any(mark in wanted for mark in '*?[') else f'*{wanted}*'
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition('=')
        if not equals:
            sys.exit(f'nova-policy: --target takes KEY=VALUE, not {word}')
        pairs[key] = value
    return pairs


if __name__ == '__main__':
    sys.exit(main())
