"""Quota limits and usage."""

import msgspec


class QuotaSet(msgspec.Struct, kw_only=True):
    """Limits by resource name (-1: unlimited); with usage where asked for."""

    project_id: str
    user_id: str | None = None
    limits: dict[str, int]
    in_use: dict[str, int] = {}
