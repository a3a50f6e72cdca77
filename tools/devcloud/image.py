"""Glance, with its images in files."""

import shutil
from pathlib import Path

from devcloud import ini, uwsgi, venvs
from devcloud.database import sync
from devcloud.processes import Processes
from devcloud.settings import IP, Settings


def _config(settings: Settings) -> Path:
    return settings.etc / 'glance/glance-api.conf'


def schema(settings: Settings) -> None:
    config = _config(settings)
    config.parent.mkdir(exist_ok=True)
    paste = config.parent / 'glance-api-paste.ini'
    shutil.copy(settings.services_venv / 'etc/glance/glance-api-paste.ini', paste)
    data = settings.state / 'glance'
    for name in ('images', 'staging', 'tasks'):
        (data / name).mkdir(parents=True, exist_ok=True)
    ini.save(
        config,
        {
            'DEFAULT': {
                'use_stderr': 'true',
                'bind_host': IP,
                'bind_port': settings.ports.glance,
                'enabled_backends': 'files:file',
                'enabled_import_methods': '[]',
                'worker_self_reference_url': settings.url('glance'),
            },
            'database': {'connection': settings.mariadb_url('glance')},
            'glance_store': {'default_backend': 'files'},
            'files': {'filesystem_store_datadir': data / 'images'},
            'os_glance_staging_store': {'filesystem_store_datadir': data / 'staging'},
            'os_glance_tasks_store': {'filesystem_store_datadir': data / 'tasks'},
            'paste_deploy': {'flavor': 'keystone', 'config_file': paste},
            'oslo_concurrency': {'lock_path': data / 'lock'},
            'keystone_authtoken': ini.authtoken(settings, 'glance'),
        },
    )
    manage = settings.services_venv / 'bin/glance-manage'
    sync(
        settings,
        'glance-schema',
        venvs.services_key(settings),
        [[manage, '--config-file', config, 'db_sync']],
    )


def start(settings: Settings, processes: Processes) -> None:
    config = _config(settings)
    uwsgi.serve(
        settings,
        processes,
        'glance',
        settings.ports.glance,
        'glance.wsgi.api',
        env={'OS_GLANCE_CONFIG_DIR': str(config.parent)},
        depends_on=[config, venvs.services_key(settings)],
    )
    processes.wait_http('glance', settings.url('glance', '/'))
