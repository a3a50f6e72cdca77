"""HTTP from browsers: the files of the web client, and the upgrade to a websocket."""

import re
import socket
import time
import urllib.parse
from http import HTTPStatus
from typing import Any

from oslo_log import log as logging
from websockify import websockifyserver

from kilonova.common import exception
from kilonova.common.context import get_admin_context
from kilonova.common.objects.console import ConsoleAccess
from kilonova.consoleproxy import access
from kilonova.consoleproxy.browser import Browser, Gone
from kilonova.consoleproxy.session import FAILED, End, Session
from kilonova.consoleproxy.target import Unreachable, connect
from kilonova.consoleproxy.websocket import Socket
from kilonova.consoleproxy.wire import Wire

LOG = logging.getLogger(__name__)

_SECRET = re.compile(r'(token(?:=|%3D))[^&\s\'"]+', re.IGNORECASE)
_SECONDS = 60.0
"""For a request and its answer, however slowly it comes."""
_UNREACHABLE = End(FAILED, 'The console cannot be reached.')


class Handler(websockifyserver.WebSockifyRequestHandler):
    """``server`` is the Listener, ``connection`` what it knows of this one."""

    SocketClass = Socket
    server_version, sys_version = 'Kilonova', ''
    timeout = 30

    def __init__(self, sock: socket.socket, address: Any, server: Any, connection: Any) -> None:
        self.known = connection
        super().__init__(sock, address, server)

    def setup(self) -> None:
        self.handler_id = self.known.number
        self.directory = self.server.web
        super().setup()

    def log_message(self, text: str, *args: Any) -> None:
        LOG.debug('%s %s', self.client_address[0], _SECRET.sub(r'\1***', text % args))

    def handle_one_request(self) -> None:
        self.known.deadline = time.monotonic() + _SECONDS
        super().handle_one_request()

    # -- files

    def send_head(self) -> Any:
        """Serve a file of the web client and nothing that is not below its directory."""
        path = urllib.parse.unquote(self.path.split('?', 1)[0].split('#', 1)[0])
        odd = not path.startswith('/') or path.startswith('//') or '\\' in path
        if odd or '..' in path.split('/') or not path.isprintable():
            self.send_error(HTTPStatus.BAD_REQUEST)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    # -- consoles

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.known.is_surplus:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, 'Too many connections')
            return False
        return True

    def handle_upgrade(self) -> None:
        """Find out what may be opened before the browser gets a websocket."""
        try:
            self.access = self._access()
        except access.Refused as refused:
            LOG.info('%s is refused: %s', self.client_address[0], refused)
            self.send_error(refused.status, refused.message)
            self.close_connection = True
            return
        super().handle_upgrade()

    def _access(self) -> ConsoleAccess:
        token = access.token(self.path, self.headers)
        try:
            found = self.server.conductor.validate_console_token(get_admin_context(), token)
        except exception.NotFound:
            raise access.Refused(403, 'The token is not valid any more') from None
        except exception.ServiceUnavailable as error:
            LOG.warning('A token cannot be checked: %s', error)
            raise access.Refused(503, 'The token cannot be checked at this time') from None
        if found.console_type != self.server.kind.console_type:
            raise access.Refused(403, 'The token is for another type of console')
        access.check_origin(self.headers, self.server.conf.console.allowed_origins, found)
        return found

    def new_websocket_client(self) -> None:
        """Carry bytes between browser and console until either has enough."""
        browser = Browser(self)
        self.known.deadline = None
        try:
            end = self._carry(browser)
        except (Unreachable, OSError) as error:
            LOG.warning('Console of server %s: %s', self.access.instance_uuid, error)
            end = _UNREACHABLE
        except Gone:
            return
        browser.close(*end)

    def _carry(self, browser: Browser) -> End:
        target = plain = connect(self.access.place)
        try:
            target = self.server.kind.begin(self.server.conf, browser, plain)
            session = Session(self.access, browser, Wire(target))
            LOG.info('Console of server %s is open', self.access.instance_uuid)
            with self.server.watch.over(session):
                end = session.run()
            return end or self.server.watch.why(self.access)
        finally:
            target.close()
            LOG.info('Console of server %s is closed', self.access.instance_uuid)

    def finish(self) -> None:
        try:
            super().finish()
        except OSError as error:  # it has gone before it got everything
            LOG.debug('%s has gone: %s', self.client_address[0], error)
