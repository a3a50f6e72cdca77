"""Kilonova: its databases and daemons."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from devcloud import cinder, ini, novaconf, uwsgi, venvs
from devcloud.commands import CommandError, run
from devcloud.database import compute_url, sync
from devcloud.processes import Processes
from devcloud.progress import StepError, say
from devcloud.rest import Rest, RestError
from devcloud.settings import CHECKOUT, Settings

PROXIES = {
    'nova-novncproxy': 'novnc',
    'nova-spicehtml5proxy': 'spice',
    'nova-serialproxy': 'serial',
}
"""Which port each console proxy has."""
DAEMONS = ('nova-conductor', 'nova-scheduler', 'nova-api', 'nova-compute')


class Kilonova:
    def __init__(self, settings: Settings, processes: Processes):
        self._settings = settings
        self._processes = processes
        self._etc = settings.etc / 'nova'
        self._conf = self._etc / 'nova.conf'

    # ---- configuration

    def configure(self) -> None:
        self._etc.mkdir(exist_ok=True)
        # Nova expects the administrator to have made the directory of the guests' disks.
        (self._settings.state / 'nova/instances').mkdir(parents=True, exist_ok=True)
        # It is looked for next to nova.conf.  (Nova's, when it runs here for comparison, is in
        # its environment.)
        other = self._settings.choices.compute_venv
        source = self._settings.compute_venv if other else CHECKOUT
        shutil.copy(source / 'etc/nova/api-paste.ini', self._etc / 'api-paste.ini')
        ini.save(self._conf, novaconf.sections(self._settings, self._conf))

    # ---- database

    def _manage(self, *arguments: str) -> list[str | Path]:
        program = self._settings.compute_venv / 'bin/nova-manage'
        return [program, '--config-file', self._conf, *arguments]

    @property
    def _database_key(self) -> str:
        return compute_url(self._settings, 'nova') + self._settings.transport_url

    def schema(self) -> None:
        self.configure()
        key = venvs.kilonova_key(self._settings) + self._database_key
        sync(
            self._settings,
            'nova-schema',
            key,
            [
                self._manage('api_db', 'sync'),
                self._manage('cell_v2', 'map_cell0'),
                self._manage('db', 'sync'),
            ],
        )
        self._create_cell()

    def _create_cell(self) -> None:
        key = self._database_key
        if self._settings.is_done('nova-cell', key):
            return
        log = self._settings.log / 'nova-schema.log'
        try:
            run(self._manage('cell_v2', 'create_cell', '--name', 'cell1'), log=log)
        except CommandError as error:
            # An earlier run was stopped between the command and its stamp.
            if 'already exists' not in error.output:
                raise StepError(error.reason, log) from None
        self._settings.set_done('nova-cell', key)

    def _is_mapped(self, rest: Rest) -> bool:
        """Map the compute hosts to their cell, once their hypervisors are recorded there."""
        if self._hypervisors(rest) >= len(self._settings.compute_hosts):
            return True
        log = self._settings.log / 'nova-schema.log'
        run(self._manage('cell_v2', 'discover_hosts', '--verbose'), log=log)
        return self._hypervisors(rest) >= len(self._settings.compute_hosts)

    def _hypervisors(self, rest: Rest) -> int:
        return len(rest.get('compute', '/v2.1/os-hypervisors')['hypervisors'])

    # ---- daemons

    def start_control_plane(self) -> None:
        for name in ('nova-conductor', 'nova-scheduler'):
            self._start(name)
        if self._program('nova-api').exists():
            self._start('nova-api')
        else:
            self._start_api_under_uwsgi()
        url = self._settings.url('compute', '/')
        self._processes.wait_http('nova-api', url)
        metadata = self._settings.ports.metadata
        self._processes.wait_port(
            'nova-metadata' if self._processes.pid('nova-metadata') else 'nova-api', metadata
        )

    def start_proxies(self) -> None:
        for name, port in PROXIES.items():
            self._start(name)
            self._processes.wait_port(name, getattr(self._settings.ports, port))

    def start_compute(self) -> None:
        with_volumes = self._settings.cinder and not self._settings.fake
        self._start('nova-compute', cinder.mounted if with_volumes else None)

    def _program(self, name: str) -> Path:
        return self._settings.compute_venv / 'bin' / name

    def _start(
        self,
        name: str,
        within: Callable[[Settings, Sequence[Path | str]], list[Path | str]] | None = None,
    ) -> None:
        command: list[Path | str] = [self._program(name), '--config-file', self._conf]
        if within:
            command = within(self._settings, command)
        self._processes.start(name, command, depends_on=self._depends)

    @property
    def _depends(self) -> list[Path | str]:
        return [self._conf, venvs.kilonova_key(self._settings)]

    def _start_api_under_uwsgi(self) -> None:
        """Nova, for comparison, has its APIs as WSGI applications alone."""
        ports = self._settings.ports
        for name, port, module in (
            ('nova-api', ports.compute, 'nova.wsgi.osapi_compute'),
            ('nova-metadata', ports.metadata, 'nova.wsgi.metadata'),
        ):
            uwsgi.serve(
                self._settings,
                self._processes,
                name,
                port,
                module,
                env={'OS_NOVA_CONFIG_DIR': str(self._etc)},
                venv=self._settings.compute_venv,
                depends_on=self._depends,
            )

    def wait_for_compute(self) -> None:
        """Wait until the compute services have reported since they were started."""
        self._wait('not all nova-compute services are up in the API', self._services_are_up)
        self._wait('not all hypervisors are in the compute API', self._is_mapped)

    def _wait(self, what: str, test: Callable[[Rest], bool], seconds: float = 240) -> None:
        rest = Rest(self._settings, 'admin', 'demo')
        end = time.monotonic() + seconds
        while True:
            try:
                if test(rest):
                    return
            except RestError as error:
                if 400 <= error.status < 500:
                    raise
            for name in DAEMONS:
                if not self._processes.pid(name):
                    tail = self._processes.tail(name)
                    raise StepError(f'{name} has ended:\n{tail}', self._processes.log(name))
            if time.monotonic() > end:
                log = self._processes.log('nova-compute')
                tail = self._processes.tail('nova-compute')
                raise StepError(f'{what} after {seconds:.0f} s:\n{tail}', log)
            time.sleep(0.5)

    def _services_are_up(self, rest: Rest) -> bool:
        path = '/v2.1/os-services?binary=nova-compute'
        since = (self._settings.run / 'nova-compute.json').stat().st_mtime - 2
        started = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(since))
        up = {
            service['host']
            for service in rest.get('compute', path)['services']
            if service['state'] == 'up' and (service['updated_at'] or '') >= started
        }
        return set(self._settings.compute_hosts) <= up

    # ---- down

    def programs(self) -> list[str]:
        apis = ['nova-api', 'nova-metadata']
        return [*PROXIES, *apis, 'nova-scheduler', 'nova-compute', 'nova-conductor']

    def delete_servers(self) -> None:
        """Delete the users' servers through the API: their domains go away with the cloud."""
        if not self._processes.pid('nova-api'):
            return
        rest = Rest(self._settings, 'admin', 'demo')
        path = '/v2.1/servers?all_tenants=1'
        try:
            servers = rest.get('compute', path)['servers']
            for server in servers:
                say('down', f'deleting server {server["name"]} ({server["id"]})')
                rest.delete('compute', f'/v2.1/servers/{server["id"]}')
            end = time.monotonic() + 60
            while servers and time.monotonic() < end:
                time.sleep(0.5)
                servers = rest.get('compute', path)['servers']
            if servers:
                say('down', f'{len(servers)} servers were not deleted within 60 s')
        except RestError as error:
            say('down', f'servers stay in the database: {error.reason.splitlines()[0]}')
