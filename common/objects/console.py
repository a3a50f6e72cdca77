"""Consoles of servers: where they are, and what is told of that to whom."""

import datetime

import msgspec

PROTOCOLS = {
    'vnc': ('novnc',),
    'spice': ('spice-html5', 'spice-direct'),
    'serial': ('serial',),
    'mks': ('webmks',),
}
"""Which types of consoles are there for each protocol."""


class ConsolePlace(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a console proxy reaches a guest's console.

    ``internal_access_path`` is for hypervisors that serve many consoles on one port.
    """

    host: str
    port: int
    tls_port: int | None = None
    internal_access_path: str | None = None


class Console(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A console that a host offers; ``base_url`` is the proxy's that users are sent to."""

    place: ConsolePlace
    base_url: str


class ConsoleAccess(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a valid token stands for: a place, as long as the server is on ``compute_host``."""

    instance_uuid: str
    console_type: str
    place: ConsolePlace
    base_url: str
    compute_host: str | None = None
    expires_at: datetime.datetime | None = None
