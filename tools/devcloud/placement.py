"""Placement."""

from pathlib import Path

from devcloud import ini, uwsgi, venvs
from devcloud.database import sync
from devcloud.processes import Processes
from devcloud.settings import Settings


def _config(settings: Settings) -> Path:
    return settings.etc / 'placement/placement.conf'


def schema(settings: Settings) -> None:
    config = _config(settings)
    ini.save(
        config,
        {
            'DEFAULT': {'use_stderr': 'true'},
            'api': {'auth_strategy': 'keystone'},
            'placement_database': {'connection': settings.mariadb_url('placement')},
            'keystone_authtoken': ini.authtoken(settings, 'placement'),
        },
    )
    manage = settings.services_venv / 'bin/placement-manage'
    sync(
        settings,
        'placement-schema',
        venvs.services_key(settings),
        [[manage, '--config-file', config, 'db', 'sync']],
    )


def start(settings: Settings, processes: Processes) -> None:
    config = _config(settings)
    uwsgi.serve(
        settings,
        processes,
        'placement',
        settings.ports.placement,
        'placement.wsgi.api',
        env={'OS_PLACEMENT_CONFIG_DIR': str(config.parent)},
        depends_on=[config, venvs.services_key(settings)],
    )
    processes.wait_http('placement', settings.url('placement', '/'))
