"""The fence that every step of a durable operation carries."""

import msgspec

from kilonova.common.objects.network import Networks
from kilonova.common.objects.server import Server


class Fence(msgspec.Struct, frozen=True):
    """Operation id and attempt.  A report with an old fence changes nothing."""

    operation: str
    attempt: int


class BuildRequest(msgspec.Struct, kw_only=True):
    """What a compute host gets to build a server; nothing of it is asked for again."""

    server: Server
    fence: Fence
    networks: Networks
    personality: list[tuple[str, str]] = []
    admin_password: str | None = None


class ExternalEvent(msgspec.Struct, kw_only=True):
    """One entry of os-server-external-events."""

    name: str
    server_uuid: str
    status: str = 'completed'
    tag: str | None = None
