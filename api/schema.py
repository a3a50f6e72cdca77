"""Compiled JSON-schema validators for bodies and query strings.

The dialect is 2020-12 with two differences that clients rely on: ``minimum`` and
``maximum`` hold for numbers written as strings too, and on ``/v2`` a key that
``additionalProperties: false`` forbids is dropped instead of refused.
"""

import base64
import binascii
import re
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import netaddr
import rfc3986
import rfc3986.exceptions
import rfc3986.validators
from jsonschema import validators
from oslo_utils import timeutils

from kilonova.common import exception

Schema = dict[str, Any]

# More than any number has, and fewer than int() refuses.
MOST_DIGITS = 1000

formats = jsonschema.FormatChecker(formats=())


def _format(name: str) -> Callable[[Callable[[str], bool]], Callable[[str], bool]]:
    """Register a check for strings; ValueError means no, and other types pass."""

    def register(check: Callable[[str], bool]) -> Callable[[str], bool]:
        formats.checks(name, raises=(ValueError,))(
            lambda value: not isinstance(value, str) or check(value)
        )
        return check

    return register


def is_printable(text: str) -> bool:
    """Tell whether all characters print; any width of space does, line separators do not."""
    return all(c.isprintable() or unicodedata.category(c) == 'Zs' for c in text)


@_format('printable')
def _is_printable(text: str) -> bool:
    """A newline at the end has always been let through."""
    return is_printable(text.removesuffix('\n'))


@_format('name')
def is_name(text: str) -> bool:
    return bool(text) and text == text.strip() and is_printable(text)


@_format('name_with_leading_trailing_spaces')
def is_padded_name(text: str) -> bool:
    return bool(text.strip()) and is_printable(text)


@_format('az_name')
def _is_zone(text: str) -> bool:
    return is_name(text) and ':' not in text


@_format('az_name_with_leading_trailing_spaces')
def _is_padded_zone(text: str) -> bool:
    return is_padded_name(text) and ':' not in text


@_format('base64')
def _is_base64(text: str) -> bool:
    try:
        base64.decodebytes(text.encode())
    except binascii.Error:
        return False
    return True


@_format('cidr')
def _is_cidr(text: str) -> bool:
    if '/' not in text or re.search(r'\s', text):
        return False
    try:
        netaddr.IPNetwork(text)
    except netaddr.AddrFormatError:
        return False
    return True


@_format('date-time')
def _is_time(text: str) -> bool:
    timeutils.parse_isotime(text)
    return True


@_format('ipv4')
def _is_ipv4(text: str) -> bool:
    return netaddr.valid_ipv4(text, netaddr.INET_PTON)


@_format('ipv6')
def _is_ipv6(text: str) -> bool:
    return netaddr.valid_ipv6(text)


@_format('regex')
def _is_regex(text: str) -> bool:
    try:
        return bool(text) and re.compile(text) is not None
    except (re.error, OverflowError, RecursionError):
        return False


_URI = (
    rfc3986.validators.Validator()
    .require_presence_of('scheme', 'host')
    .check_validity_of('scheme', 'userinfo', 'host', 'path', 'query', 'fragment')
)


@_format('uri')
def _is_uri(text: str) -> bool:
    try:
        _URI.validate(rfc3986.uri_reference(text))
    except rfc3986.exceptions.RFC3986Exception:
        return False
    return True


@_format('uuid')
def is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)).replace('-', '') == text.lower().replace('-', '').strip('{}')
    except (ValueError, AttributeError):
        return False


class ByVersion(dict[str, Schema]):
    """Schemas by the microversion since which each holds; '2.0' is ``/v2``."""


Errors = Iterator[jsonschema.ValidationError]


def _number(instance: Any) -> int | float | None:
    if isinstance(instance, bool) or not isinstance(instance, int | float | str):
        return None
    try:
        # A float is exact enough for limits, and knows digits that int() finds too many.
        return float(instance) if isinstance(instance, str) else instance
    except ValueError:
        return None


def _minimum(_validator: Any, minimum: Any, instance: Any, _schema: Schema) -> Errors:
    number = _number(instance)
    if number is not None and isinstance(instance, str) and len(instance) > MOST_DIGITS:
        yield jsonschema.ValidationError(f'it has more than {MOST_DIGITS} digits')
    elif isinstance(instance, str) and not instance.strip():
        # The end of a line is the end of a text for patterns, so that '\n' has only digits.
        yield jsonschema.ValidationError(f'{instance!r} is not a number')
    elif number is not None and number < minimum:
        yield jsonschema.ValidationError(f'{instance!r} is less than the minimum of {minimum!r}')


def _maximum(_validator: Any, maximum: Any, instance: Any, _schema: Schema) -> Errors:
    number = _number(instance)
    if number is not None and number > maximum:
        yield jsonschema.ValidationError(f'{instance!r} is greater than the maximum of {maximum!r}')


def _drop_additional(_validator: Any, allowed: Any, instance: Any, schema: Schema) -> Errors:
    if isinstance(instance, dict) and allowed is False:
        for key in _unknown(instance, schema):
            del instance[key]
    return iter(())


def _unknown(instance: dict[str, Any], schema: Schema) -> list[str]:
    known = schema.get('properties', {})
    patterns = [re.compile(pattern) for pattern in schema.get('patternProperties', {})]
    return [k for k in instance if k not in known and not any(p.search(k) for p in patterns)]


# Without a base that knows $dynamicRef and friends: our schemas are self-contained trees.
_Strict = validators.extend(
    jsonschema.Draft202012Validator, {'minimum': _minimum, 'maximum': _maximum}
)
_Lenient = validators.extend(_Strict, {'additionalProperties': _drop_additional})


class Validator:
    """One compiled schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._strict = _Strict(schema, format_checker=formats)
        self._lenient = _Lenient(schema, format_checker=formats)
        self._any_key = schema.get('additionalProperties', True) is True
        self._requires = bool(schema.get('required'))

    def check_body(self, body: Any, legacy: bool = False) -> None:
        """Raise Invalid that names the first bad field; ``legacy`` drops unknown keys."""
        validator = self._lenient if legacy else self._strict
        for error in validator.iter_errors(body):
            raise exception.Invalid(_explain('field/attribute', error))

    def check_query(self, query: dict[str, list[str]], legacy: bool = False) -> None:
        """Raise Invalid; parameters that are allowed but not known are removed."""
        if not query and not self._requires:
            return
        if self._any_key or legacy:
            for key in _unknown(query, self.schema):
                del query[key]
        for error in self._strict.iter_errors(query):
            raise exception.Invalid(_explain('query parameters', error))


def _explain(kind: str, error: jsonschema.ValidationError) -> str:
    names = [part for part in error.absolute_path if isinstance(part, str)]
    if not names:
        return error.message
    return f'Invalid input for {kind} {names[-1]}. Value: {error.instance}. {error.message}'
