"""Cinder, with volumes as files in one directory.

Its driver is the one for NFS, which needs no kernel support for block devices.  It believes that
its share is mounted, since it is: a directory of ours, mounted over itself in the mount namespace
of that one process.  nova-compute gets the same, and libvirtd finds the files without.
"""

import hashlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from devcloud import ini, uwsgi, venvs
from devcloud.database import sync
from devcloud.processes import Processes
from devcloud.progress import StepError
from devcloud.rest import Rest, RestError
from devcloud.settings import IP, REGION, Settings, write

BACKEND = 'files'
_SHARE = f'{IP}:/volumes'
_MOUNTED = 'mount --bind "$0" "$0" && PATH="$1:$PATH" && shift && exec "$@"'


def mount_base(settings: Settings) -> Path:
    """Return the folder of all shares that are mounted."""
    return settings.state / 'cinder/mnt'


def mounted(settings: Settings, command: Sequence[Path | str]) -> list[Path | str]:
    """Return the command with the share mounted for it."""
    # Named as os-brick names it.
    digest = hashlib.md5(_SHARE.encode(), usedforsecurity=False).hexdigest()
    folder = mount_base(settings) / digest
    folder.mkdir(parents=True, exist_ok=True)
    # The commands of NFS; all that is wanted of them is that they are there.
    tools = settings.state / 'cinder/bin'
    write(tools / 'mount.nfs', '#!/bin/sh\nexit 1\n', 0o755)
    return ['unshare', '--mount', 'sh', '-c', _MOUNTED, folder, tools, *command]


class Cinder:
    def __init__(self, settings: Settings, processes: Processes):
        self._settings = settings
        self._processes = processes
        self._etc = settings.etc / 'cinder'
        self._state = settings.state / 'cinder'
        self._conf = self._etc / 'cinder.conf'

    # ---- configuration

    def schema(self) -> None:
        etc = self._settings.services_venv / 'etc/cinder'
        self._etc.mkdir(exist_ok=True)
        for name in ('api-paste.ini', 'resource_filters.json'):
            shutil.copy(etc / name, self._etc / name)
        write(self._etc / 'shares', _SHARE + '\n', 0o644)
        ini.save(self._conf, self._sections())
        sync(
            self._settings,
            'cinder-schema',
            venvs.services_key(self._settings),
            [[self._program('cinder-manage'), '--config-file', self._conf, 'db', 'sync']],
        )

    def _sections(self) -> dict[str, ini.Section]:
        settings = self._settings
        helper = f'{settings.services_venv}/bin/privsep-helper --config-file {self._conf}'
        return {
            'DEFAULT': {
                'host': settings.choices.host,
                'my_ip': IP,
                'state_path': self._state,
                'transport_url': settings.transport_url,
                'auth_strategy': 'keystone',
                'api_paste_config': self._etc / 'api-paste.ini',
                'resource_query_filters_file': self._etc / 'resource_filters.json',
                'enabled_backends': BACKEND,
                'glance_api_servers': settings.url('glance'),
                'allowed_direct_url_schemes': '',
            },
            BACKEND: {
                'volume_driver': 'cinder.volume.drivers.nfs.NfsDriver',
                'volume_backend_name': BACKEND,
                'nfs_shares_config': self._etc / 'shares',
                'nfs_mount_point_base': mount_base(settings),
                'nas_secure_file_operations': 'false',
                'nas_secure_file_permissions': 'false',
                'nfs_snapshot_support': 'true',
                # A file may well be open twice; the driver does not say so.
                'extra_capabilities': '{"multiattach": true}',
            },
            'database': {'connection': settings.mariadb_url('cinder')},
            'keystone_authtoken': ini.authtoken(settings, 'cinder'),
            'service_user': {
                **ini.credentials(settings, 'cinder'),
                'send_service_user_token': 'true',
            },
            # Whom to ask for snapshots of attached volumes.
            'nova': {**ini.credentials(settings, 'cinder'), 'region_name': REGION},
            'oslo_concurrency': {'lock_path': self._state / 'lock'},
            'privsep': {'helper_command': helper},
            'cinder_sys_admin': {'helper_command': helper},
            'privsep_osbrick': {'helper_command': helper},
        }

    # ---- daemons

    def _program(self, name: str) -> Path:
        return self._settings.services_venv / 'bin' / name

    @property
    def _depends(self) -> list[Path | str]:
        return [self._conf, venvs.services_key(self._settings)]

    def start(self) -> None:
        uwsgi.serve(
            self._settings,
            self._processes,
            'cinder',
            self._settings.ports.cinder,
            'cinder.wsgi.api',
            pyargv=f'--config-file {self._conf}',
            depends_on=self._depends,
        )
        self._processes.start(
            'cinder-scheduler',
            [self._program('cinder-scheduler'), '--config-file', self._conf],
            depends_on=self._depends,
        )
        volume = [self._program('cinder-volume'), '--config-file', self._conf]
        self._processes.start(
            'cinder-volume', mounted(self._settings, volume), depends_on=self._depends
        )
        self._processes.wait_http('cinder', self._settings.url('cinder', '/'))

    def programs(self) -> list[str]:
        return ['cinder', 'cinder-scheduler', 'cinder-volume']

    def wait_until_up(self, seconds: float = 120) -> None:
        """Wait until the scheduler and the back end have reported."""
        rest = Rest(self._settings, 'admin', 'demo')
        end = time.monotonic() + seconds
        while not self._are_up(rest):
            for name in self.programs():
                if not self._processes.pid(name):
                    tail = self._processes.tail(name)
                    raise StepError(f'{name} has ended:\n{tail}', self._processes.log(name))
            if time.monotonic() > end:
                log = self._processes.log('cinder-volume')
                raise StepError(f'Cinder is not up after {seconds:.0f} s', log)
            time.sleep(0.5)

    def _are_up(self, rest: Rest) -> bool:
        since = (self._settings.run / 'cinder-volume.json').stat().st_mtime - 2
        started = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(since))
        try:
            services = rest.get('cinder', '/v3/os-services')['services']
        except RestError as error:
            if 400 <= error.status < 500:
                raise
            return False
        up = {
            service['binary']
            for service in services
            if service['state'] == 'up' and (service['updated_at'] or '') >= started
        }
        return {'cinder-scheduler', 'cinder-volume'} <= up
