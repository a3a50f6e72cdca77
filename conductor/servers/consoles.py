"""Consoles: who may use one gets a URL with a token, which proxies show to us.

A token is good until it expires, and while the server is on the host where it was.  A guest
that is stopped gives its ports back, so proxies have the host asked, too.
"""

import urllib.parse
import uuid

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.console import PROTOCOLS, ConsoleAccess
from kilonova.common.objects.server import Server
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers.hosts import reachable
from kilonova.db import console_tokens
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


class ServerConsoles:
    """Endpoint."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        engine.chores.append(self.sweep)

    def get_console_url(self, context: Ctx, uuid: str, protocol: str, console_type: str) -> str:
        if protocol not in PROTOCOLS:  # RDP is in the API, but no host has it
            raise exception.ConsoleTypeUnavailable(console_type=console_type)
        server, host = reachable(self._parts, context, uuid, f'{protocol} console')
        console = host.get_console(context, server, protocol, console_type)
        access = ConsoleAccess(
            instance_uuid=uuid,
            console_type=console_type,
            place=console.place,
            base_url=console.base_url,
        )
        return access_url(console_type, console.base_url, self._allow(server, access))

    def get_console_access(self, context: Ctx, token: str) -> ConsoleAccess:
        return self._find(token)

    def validate_console_token(self, context: Ctx, token: str) -> ConsoleAccess:
        access = self._find(token)
        protocol = next(one for one, types in PROTOCOLS.items() if access.console_type in types)
        try:
            server, host = reachable(
                self._parts, context, access.instance_uuid, f'{protocol} console'
            )
            now = host.get_console(context, server, protocol, access.console_type)
        except (exception.NotFound, exception.Conflict, exception.Invalid) as error:
            LOG.info('Server %s has no console any more: %s', access.instance_uuid, error)
            raise exception.TokenNotFound from None
        if now.place != access.place:
            LOG.info('The console of server %s is elsewhere by now', access.instance_uuid)
            raise exception.TokenNotFound
        return access

    def sweep(self) -> int:
        """Remove tokens that are good for nothing any more."""
        with self._parts.cell_db.transaction() as session:
            return console_tokens.remove_useless(session)

    @retry
    def _allow(self, server: Server, access: ConsoleAccess) -> str:
        token = str(uuid.uuid4())  # 122 bits of the system's randomness
        assert server.host is not None
        expires_at = self._parts.later(self._parts.conf.consoleauth.token_ttl)
        with self._parts.cell_db.transaction() as session:
            console_tokens.add(session, token, access, server.host, expires_at)
        return token

    @retry
    def _find(self, token: str) -> ConsoleAccess:
        with self._parts.cell_db.reader() as session:
            access = console_tokens.find(session, token)
        if access is None:
            raise exception.TokenNotFound
        return access


def access_url(console_type: str, base: str, token: str) -> str:
    """Return the proxy's URL with the token; noVNC hands on what its ``path`` says."""
    parts = urllib.parse.urlsplit(base)
    query = dict(urllib.parse.parse_qsl(parts.query))
    if console_type == 'novnc':
        path = query.get('path', '')
        query['path'] = f'{path}{"&" if "?" in path else "?"}token={token}'
    else:
        query['token'] = token
    return parts._replace(query=urllib.parse.urlencode(query)).geturl()
