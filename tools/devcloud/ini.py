"""Write oslo.config files."""

from collections.abc import Mapping
from pathlib import Path

from devcloud.settings import Settings, write

Section = Mapping[str, object]


def save(path: Path, sections: Mapping[str, Section]) -> None:
    """Write a configuration file; only root may read it, since it holds passwords."""
    lines = ['# Written by tools/devcloud at each start; changes are lost.']
    for name, options in sections.items():
        lines.append(f'\n[{name}]')
        lines.extend(f'{option} = {value}' for option, value in options.items())
    write(path, '\n'.join(lines) + '\n', 0o600)


def credentials(settings: Settings, user: str) -> dict[str, object]:
    """Options that keystoneauth reads, for one of the service users."""
    return {
        'auth_type': 'password',
        'auth_url': settings.auth_url,
        'username': user,
        'password': settings.password(user),
        'project_name': 'service',
        'user_domain_name': 'Default',
        'project_domain_name': 'Default',
    }


def authtoken(settings: Settings, user: str) -> dict[str, object]:
    """The section keystone_authtoken."""
    return {
        **credentials(settings, user),
        'www_authenticate_uri': settings.auth_url,
        'service_token_roles': 'service',
        'service_token_roles_required': 'true',
    }
