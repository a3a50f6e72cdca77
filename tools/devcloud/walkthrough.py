"""Do what a user does first, with the unmodified openstack client, and check what comes back."""

import json
import re
import shlex
import time
import urllib.request
from pathlib import Path
from typing import Any

from devcloud import commands, progress, resources
from devcloud.commands import CommandError, run
from devcloud.progress import StepError, say
from devcloud.rest import Rest, RestError
from devcloud.settings import Settings

SERVER = 'first-server'
FLAVOR = 'm1.micro'
_MARK = 'made by the walk-through of tools/devcloud'


class WalkThrough:
    def __init__(self, settings: Settings):
        self._settings = settings
        self._rest = Rest(settings, 'demo', 'demo')
        self._log = settings.log / 'walk-through.log'
        self._env = commands.environment(
            {
                'OS_CLIENT_CONFIG_FILE': str(resources.clouds_yaml(settings)),
                'OS_CLOUD': resources.CLOUD,
                # Tables that fit, whatever terminal this runs in.
                'CLIFF_MAX_TERM_WIDTH': '120',
            },
            path_first=settings.services_venv / 'bin',
        )

    def run(self) -> None:
        """Boot, look at, reach and delete one server."""
        self._remove_leftovers()
        self._openstack(
            'server', 'create', '--image', resources.IMAGE, '--flavor', FLAVOR,
            '--network', 'private', '--key-name', resources.KEY_PAIR, '--wait', SERVER,
        )  # fmt: skip
        server = self._server()
        self._openstack('server', 'show', SERVER)
        address = self._floating_ip()
        self._wait_for_guest()
        console = self._openstack('console', 'log', 'show', SERVER)
        self._check_console(console, server)
        self._check_console_url()
        self._ping(address)
        self._ssh(address)
        self._openstack('server', 'delete', '--wait', SERVER)
        self._openstack('floating', 'ip', 'delete', address)
        listed = self._openstack('server', 'list')
        if SERVER in listed:
            raise StepError('the deleted server is still listed', self._log)

    # ---- commands

    def _openstack(self, *arguments: str) -> str:
        return self._show(['openstack', *arguments])

    def _show(self, argv: list[str], seconds: float = 600) -> str:
        """Run a command, and print it with its output."""
        say('walk-through', '$ ' + shlex.join(argv))
        try:
            output = run(argv, env=self._env, log=self._log, timeout=seconds).stdout
        except CommandError as error:
            raise StepError(self._explain(error), self._log) from None
        progress.write(_printable(output.rstrip()))
        return output

    def _explain(self, error: CommandError) -> str:
        """The client says little about a server in ERROR: add its fault."""
        try:
            fault = (self._server() or {}).get('fault', {})
        except StepError:
            fault = {}
        text = _printable(error.reason)
        return f'{text}\n    fault: {fault.get("message")}' if fault else text

    # ---- steps

    def _server(self) -> dict[str, Any]:
        servers = self._rest.get('compute', f'/v2.1/servers/detail?name={SERVER}')['servers']
        if not servers:
            raise StepError(f'there is no server {SERVER} in the compute API', self._log)
        return dict(servers[0])

    def _remove_leftovers(self) -> None:
        """Of an earlier walk-through that failed."""
        for server in self._rest.get('compute', f'/v2.1/servers?name={SERVER}')['servers']:
            say('walk-through', f'deleting server {server["id"]} of an earlier run')
            self._rest.delete('compute', f'/v2.1/servers/{server["id"]}')
            self._wait_gone(server['id'])
        for address in self._rest.get('neutron', '/v2.0/floatingips')['floatingips']:
            if address['description'] == _MARK:
                self._rest.delete('neutron', f'/v2.0/floatingips/{address["id"]}')

    def _wait_gone(self, server: str) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                self._rest.get('compute', f'/v2.1/servers/{server}')
            except RestError as error:
                if error.status == 404:
                    return
                raise
            time.sleep(0.5)
        raise StepError(f'server {server} of an earlier run cannot be deleted', self._log)

    def _floating_ip(self) -> str:
        output = self._openstack(
            'floating', 'ip', 'create', '--description', _MARK, '-f', 'json', 'public'
        )
        # Warnings may stand around the JSON text.
        text = output[output.index('{') : output.rindex('}') + 1]
        address = str(json.loads(text)['floating_ip_address'])
        self._openstack('server', 'add', 'floating', 'ip', SERVER, address)
        return address

    def _wait_for_guest(self) -> None:
        """Wait for the last line that the guest prints when it boots."""
        server = self._server()['id']
        say('walk-through', 'waiting until the guest has booted ...')
        end = time.monotonic() + 300
        output = ''
        while time.monotonic() < end:
            path = f'/v2.1/servers/{server}/action'
            answer = self._rest.post('compute', path, {'os-getConsoleOutput': {}})
            output = answer['output'] or ''
            if re.search(r'lab-guest: ready ', output):
                return
            time.sleep(1)
        tail = _printable('\n'.join('    ' + line for line in output.splitlines()[-8:]))
        raise StepError(f'the guest was not ready within 300 s; its console:\n{tail}', self._log)

    def _check_console(self, console: str, server: dict[str, Any]) -> None:
        fixed = re.findall(r"'addr': '(10\.[0-9.]+)'", repr(server['addresses']))
        for what, pattern in (
            ('its address from DHCP', rf'lab-guest: net=\S+ ip={re.escape(fixed[0])}/'),
            ('its metadata', rf'lab-guest: metadata_http=.*{server["id"]}'),
        ):
            if not re.search(pattern, console):
                raise StepError(f'the guest has not got {what}: see its console', self._log)
            say('walk-through', f'the guest has got {what}')

    def _check_console_url(self) -> None:
        """Fetch the page that a browser would show the guest's screen in."""
        output = self._openstack('console', 'url', 'show', '-f', 'json', SERVER)
        url = json.loads(output[output.index('{') : output.rindex('}') + 1])['url']
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                page = answer.read().decode(errors='replace')
        except OSError as error:
            raise StepError(f'{url} cannot be opened: {error}', self._log) from None
        if 'noVNC' not in page:
            raise StepError(f'{url} is no page of noVNC', self._log)
        say('walk-through', "the guest's screen can be opened in a browser")

    def _ping(self, address: str) -> None:
        end = time.monotonic() + 60
        # The floating IP may need a moment to be in the router.
        while run(['ping', '-c', '1', '-W', '1', address], check=False).returncode:
            if time.monotonic() > end:
                break
        self._show(['ping', '-c', '3', '-W', '5', address])

    def _ssh(self, address: str) -> None:
        known = self._settings.run / 'known_hosts'
        known.unlink(missing_ok=True)
        command = [
            'ssh', '-i', str(self._identity()), '-o', f'UserKnownHostsFile={known}',
            '-o', 'StrictHostKeyChecking=accept-new', '-o', 'BatchMode=yes',
            '-o', 'ConnectTimeout=10', '-o', 'LogLevel=ERROR', f'root@{address}',
        ]  # fmt: skip
        end = time.monotonic() + 60
        # ready is printed before the guest has made its ssh host key.
        while run([*command, 'true'], env=self._env, check=False).returncode:
            if time.monotonic() > end:
                break
            time.sleep(0.5)
        self._show([*command, 'hostname; uptime; ip -4 address show dev eth0'])

    def _identity(self) -> Path:
        return resources.private_key(self._settings)


def _printable(text: str) -> str:
    """A console may hold anything, and must not repaint the terminal."""
    text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', text.replace('\r', ''))
    return ''.join(char if char.isprintable() or char in '\n\t' else '?' for char in text)
