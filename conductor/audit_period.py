"""The periods of ``instance_usage_audit_period``: an hour, a day, a month, a year, with an offset.

The offset says where in the next larger unit a period begins: ``hour@15`` at a quarter past,
``day@6`` at six, ``month@15`` on the fifteenth, ``year@4`` in April.
"""

import calendar
import datetime
from collections.abc import Callable

PATTERN = r'^(hour|month|day|year)(@([0-9]+))?$'
MONTHS = 12

Time = datetime.datetime


def last_completed(period: str, before: Time) -> tuple[Time, Time]:
    """Return beginning and end of the newest period that was over at a time."""
    unit, _, offset = period.partition('@')
    starts_in, back = _UNITS[unit]
    # What is less than the smallest begins at the smallest, what is more at the largest.
    number = int(offset[:6]) if offset else 0
    end = starts_in(before, number)
    if end > before:
        end = starts_in(back(before), number)
    return starts_in(back(end), number), end


def _in_hour(when: Time, minute: int) -> Time:
    return when.replace(minute=min(minute, 59), second=0, microsecond=0)


def _in_day(when: Time, hour: int) -> Time:
    return when.replace(hour=min(hour, 23), minute=0, second=0, microsecond=0)


def _in_month(when: Time, day: int) -> Time:
    last = calendar.monthrange(when.year, when.month)[1]
    return _in_day(when.replace(day=min(max(day, 1), last)), 0)


def _in_year(when: Time, month: int) -> Time:
    return _in_day(when.replace(month=min(max(month, 1), MONTHS), day=1), 0)


def _month_before(when: Time) -> Time:
    return when.replace(day=1) - datetime.timedelta(days=1)


def _year_before(when: Time) -> Time:
    return when.replace(year=when.year - 1, day=1)


_UNITS: dict[str, tuple[Callable[[Time, int], Time], Callable[[Time], Time]]] = {
    'hour': (_in_hour, lambda when: when - datetime.timedelta(hours=1)),
    'day': (_in_day, lambda when: when - datetime.timedelta(days=1)),
    'month': (_in_month, _month_before),
    'year': (_in_year, _year_before),
}
