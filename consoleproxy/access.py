"""Who may open a console: a token, shown by a page of ours."""

import http.cookies
import re
import urllib.parse
from email.message import Message

from kilonova.common.objects.console import ConsoleAccess

_HOST = re.compile(r'[\w.:\[\]-]+')
_TOKEN = re.compile(r'[A-Za-z0-9_-]{16,128}')


class Refused(Exception):
    """A request that is answered with an HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def token(path: str, headers: Message) -> str:
    """Return the token that is in the query, or in a cookie, which noVNC makes of it."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    found = query.get('token', [''])[-1] or _cookie(headers)
    if not found:
        raise Refused(401, 'A token is needed')
    if not _TOKEN.fullmatch(found):
        raise Refused(400, 'This is no token')
    return found


def _cookie(headers: Message) -> str:
    for line in headers.get_all('Cookie', []):
        for part in line.split(';'):
            cookies: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
            try:
                cookies.load(part)
            except http.cookies.CookieError:
                continue  # somebody else's: browsers send all that they have for a host
            if 'token' in cookies:
                return cookies['token'].value
    return ''


def check_origin(headers: Message, allowed: list[str], access: ConsoleAccess) -> None:
    """Refuse pages of other sites, which a browser names; who is no browser names none."""
    host = _host(headers)
    given = headers.get('Origin')
    if given is None:
        return
    try:
        origin = urllib.parse.urlsplit(given)
        name = origin.hostname
    except ValueError:
        name = None
    if not name or not origin.scheme:
        raise Refused(403, 'Origin header not valid')
    if name != host and name not in allowed:
        raise Refused(403, 'Origin header does not match this host')
    if headers.get('X-Forwarded-Proto', origin.scheme) not in _schemes(access):
        raise Refused(403, 'Origin header protocol does not match this host')


def _host(headers: Message) -> str:
    given = headers.get_all('Host', [])
    is_odd = len(given) != 1 or not _HOST.fullmatch(given[0])
    try:
        name = None if is_odd else urllib.parse.urlsplit('//' + given[0]).hostname
    except ValueError:
        name = None
    if not name:
        raise Refused(400, 'Host header not valid')
    return name


def _schemes(access: ConsoleAccess) -> tuple[str, ...]:
    """Return what a page's URL may begin with, when the console's URL begins as it does."""
    scheme = urllib.parse.urlsplit(access.base_url).scheme
    if access.console_type == 'serial':  # its URL is that of the websocket
        return {'ws': ('http',), 'wss': ('https',)}.get(scheme, (scheme,))
    return (scheme,)
