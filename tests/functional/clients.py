"""The clients that people use, speaking over HTTP to a cloud of this process."""

import contextlib
import functools
import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock

import openstack
from keystoneauth1 import session
from keystoneauth1.identity import v3

from kilonova.api import server
from kilonova.tests.functional.cloud import Cloud

ADMIN, DEMO = 'admin', 'demo'


class Clients:
    """Serves the compute API of a cloud on a port, and has every service in a catalogue."""

    def __init__(self, cloud: Cloud) -> None:
        cloud.conf.set_override('osapi_compute_listen', '127.0.0.1')
        cloud.conf.set_override('osapi_compute_listen_port', 0)
        (self._server,) = server.serve(cloud.conf, {'osapi_compute': cloud.all.compute_app})
        self.cloud, self.url = cloud, f'http://127.0.0.1:{self._server.port}'
        cloud.keystone.catalog = {
            'identity': f'{cloud.keystone.url}/v3',
            'compute': f'{self.url}/v2.1',
            'image': cloud.glance.url,
            'network': cloud.neutron.url,
            'block-storage': f'{cloud.cinder.url}/v3',
            'shared-file-system': f'{cloud.manila.url}/v2',
        }

    def close(self) -> None:
        self._server.stop()

    def auth(self, user: str) -> dict[str, Any]:
        """Return what a client needs to log in, as ``clouds.yaml`` has it."""
        return {
            'auth_url': f'{self.cloud.keystone.url}/v3',
            'username': user,
            'password': 'secret',
            'project_name': user,
            'user_domain_id': 'default',
            'project_domain_id': 'default',
        }

    def session(self, user: str) -> session.Session:
        return session.Session(v3.Password(**self.auth(user)))

    def sdk(self, user: str, version: str | None = None) -> openstack.connection.Connection:
        """Return a connection of openstacksdk, at one microversion of the compute API."""
        return openstack.connection.Connection(
            auth=self.auth(user), region_name='RegionOne', compute_default_microversion=version
        )

    def openstack(self, user: str = ADMIN, version: str = '2.96') -> 'OpenStack':
        return OpenStack(self.auth(user), version)


class Failed(AssertionError):
    """A command has ended with an error."""


class OpenStack:
    """The command ``openstack``: the first word is the command's whole name."""

    def __init__(self, auth: dict[str, Any], version: str) -> None:
        self.auth, self._version = auth, version

    def at(self, version: str) -> 'OpenStack':
        """The same at another microversion."""
        return OpenStack(self.auth, version)

    def run(self, command: str, *words: object) -> str:
        """Return what a command prints.  Raises Failed."""
        from openstackclient import shell

        out, err = io.StringIO(), io.StringIO()
        status: Any
        _forget_clients()
        with _captured(out, err), _impatient():
            try:
                status = shell.OpenStackShell().run(
                    [*self._options(), *command.split(), *_text(words)]
                )
            except SystemExit as end:  # words that it does not know
                status = end.code
        if status:
            raise Failed(f'openstack {command} {_text(words)}: {err.getvalue()}')
        return out.getvalue()

    def show(self, command: str, *words: object) -> Any:
        """Return what a command shows, as it is in its JSON."""
        printed = self.run(command, *words, '-f', 'json')
        # How far it is, while it waits, comes before.
        starts = [at for at in (printed.find('{'), printed.find('[')) if at >= 0]
        return json.loads(printed[min(starts) :])

    def _options(self) -> list[str]:
        found = [f'--os-{name.replace("_", "-")}={value}' for name, value in self.auth.items()]
        return [*found, f'--os-compute-api-version={self._version}']


def _forget_clients() -> None:
    """Let the next command log in anew: osc-lib keeps its clients for the whole process."""
    from osc_lib.clientmanager import ClientCache, ClientManager

    for one in vars(ClientManager).values():
        if isinstance(one, ClientCache):
            one._handle = None


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Let commands that wait look often, not every five seconds."""
    from osc_lib import utils

    pause: dict[str, Any] = {'sleep_time': 0.2}
    often = functools.partial(utils.wait_for_status, **pause)
    with mock.patch.object(utils, 'wait_for_status', often):
        yield


def _text(words: tuple[object, ...]) -> list[str]:
    return [str(word) for word in words]


@contextlib.contextmanager
def _captured(out: io.StringIO, err: io.StringIO) -> Iterator[None]:
    """Keep what a command prints, and the logging of the process as it is."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    levels = {
        name: logger.level
        for name, logger in root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
