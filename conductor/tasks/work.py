"""What a build carries from step to step."""

from typing import Any

import msgspec

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.network import Networks
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.common.objects.server import Server
from kilonova.db.operations import Operation


class Payload(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a build carries until it ends.

    ``failed``: host to why it did not work there; ``reasons``: the same for administrators.
    ``misfit``: why the server cannot be laid out on the host that was chosen last.
    """

    context: dict[str, Any]
    spec: RequestSpec
    networks: Networks
    personality: list[tuple[str, str]] = []
    admin_password: str | None = None
    selection: Selection | None = None
    alternates: list[Selection] = []
    failed: dict[str, str] = {}
    reasons: list[str] = []
    misfit: str = ''


class Work(msgspec.Struct):
    """One server that is being built."""

    context: Ctx
    operation: Operation
    server: Server
    payload: Payload


def encode(payload: Payload) -> str:
    return msgspec.json.encode(payload).decode()


decode = msgspec.json.Decoder(Payload).decode
