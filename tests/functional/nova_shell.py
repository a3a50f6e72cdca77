"""The command ``nova`` of python-novaclient, run in this process."""

import contextlib
import io
import itertools
from collections.abc import Iterator
from typing import Any
from unittest import mock

from kilonova.tests.functional.clients import Clients

Row = dict[str, str]


class Nova:
    """One user's ``nova`` at one microversion."""

    def __init__(self, clients: Clients, user: str, version: str = '2.96') -> None:
        self._clients, self._user, self._version = clients, user, version

    def at(self, version: str) -> 'Nova':
        """The same at another microversion."""
        return Nova(self._clients, self._user, version)

    def run(self, command: str, *words: object, typed: str = '') -> str:
        """Return what a command prints; ``typed``: the answer when it asks for a password.

        Raises the client's exceptions, and SystemExit for words that it does not know.
        """
        from novaclient import shell

        argv = [*self._options(), command, *(str(word) for word in words)]
        out = io.StringIO()
        with contextlib.redirect_stdout(out), mock.patch('getpass.getpass', return_value=typed):
            shell.OpenStackComputeShell().main(argv)
        return out.getvalue()

    def rows(self, command: str, *words: object) -> list[Row]:
        """Return the rows of all tables that a command prints."""
        return list(_rows(self.run(command, *words).splitlines()))

    def show(self, command: str, *words: object) -> Row:
        """Return a table of properties and their values."""
        return {row['Property']: row['Value'] for row in self.rows(command, *words)}

    def _options(self) -> list[str]:
        auth = self._clients.auth(self._user)
        found = [f'--os-{name.replace("_", "-")}={value}' for name, value in auth.items()]
        return [*found, f'--os-compute-api-version={self._version}']


def _rows(lines: list[str]) -> Iterator[Row]:
    """Cut tables at the corners of their borders: cells may hold what columns are told by.

    A table has three borders: above the names, below them, and at its end.
    """
    borders, corners, names = 0, [0], ['']
    for line in lines:
        if line.startswith('+'):
            borders, corners = borders + 1, [at for at, sign in enumerate(line) if sign == '+']
        elif line.startswith('|'):
            cells = [line[a + 1 : b].strip() for a, b in itertools.pairwise(corners)]
            if borders % 3 == 1:
                names = cells
            else:
                yield dict(zip(names, cells, strict=True))


def bindings(clients: Clients, user: str, version: str = '2.96') -> Any:
    """Return novaclient's Python interface."""
    from novaclient import client

    return client.Client(version, session=clients.session(user))
