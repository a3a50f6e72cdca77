"""Payloads about services, aggregates, hypervisors and what they measure."""

import datetime
from typing import ClassVar

from kilonova.common.notifications.payload import Payload


class ServiceStatusPayload(Payload):
    VERSION: ClassVar[str] = '1.1'

    uuid: str
    host: str | None
    binary: str | None
    topic: str | None
    report_count: int
    disabled: bool
    disabled_reason: str | None
    availability_zone: str | None
    last_seen_up: datetime.datetime | None
    forced_down: bool
    version: int


class AggregatePayload(Payload):
    """``id`` is None, and so is what else is not known yet, before an aggregate is made."""

    VERSION: ClassVar[str] = '1.1'

    id: int | None
    uuid: str | None
    name: str
    hosts: list[str] | None
    metadata: dict[str, str] | None


class AggregateCachePayload(Payload):
    """How one host of an aggregate got on with its images."""

    VERSION: ClassVar[str] = '1.0'

    id: int
    uuid: str
    name: str
    host: str
    images_cached: list[str]
    images_failed: list[str]
    index: int
    total: int


class ExceptionPayload(Payload):
    """What went wrong, and where."""

    VERSION: ClassVar[str] = '1.1'

    module_name: str | None
    function_name: str | None
    exception: str | None
    exception_message: str
    traceback: str


class LibvirtErrorPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    ip: str
    reason: ExceptionPayload


class MetricPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    name: str
    value: int
    numa_membw_values: dict[str, int] | None
    timestamp: datetime.datetime
    source: str


class MetricsPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    host: str
    host_ip: str
    nodename: str
    metrics: list[MetricPayload]
