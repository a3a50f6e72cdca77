"""The little language of extra specs: ``>= 4``, ``<in> sse``, ``<or> a <or> b`` …"""

import operator
from collections.abc import Callable

_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    '=': operator.ge,  # long established: it means "at least"
    '==': operator.eq,
    '!=': operator.ne,
    '>=': operator.ge,
    '<=': operator.le,
    '>': operator.gt,
    '<': operator.lt,
}
_STRINGS: dict[str, Callable[[str, str], bool]] = {
    's==': operator.eq,
    's!=': operator.ne,
    's>=': operator.ge,
    's<=': operator.le,
    's>': operator.gt,
    's<': operator.lt,
}


def match(value: str, requirement: str) -> bool:
    """Tell whether a host's value satisfies a requirement; without an operator they are equal."""
    words = requirement.split()
    if not words:
        return value == requirement
    word, rest = words[0], words[1:]
    if word in _NUMBERS and rest:
        return _compare(_NUMBERS[word], value, rest[0])
    if word in _STRINGS and rest:
        return _STRINGS[word](value, rest[0])
    if word == '<in>' and rest:
        return rest[0] in value
    if word == '<all-in>':
        return all(item in value for item in rest)
    if word == '<or>':
        return value in (option.strip() for option in requirement.split('<or>') if option.strip())
    if word == '<range-in>':
        return _in_range(value, rest)
    return value == requirement


def _compare(test: Callable[[float, float], bool], value: str, wanted: str) -> bool:
    try:
        return test(float(value), float(wanted))
    except ValueError:
        return False


def _in_range(value: str, words: list[str]) -> bool:
    """``<range-in> [ 10 20 )``: square brackets include the end, round ones leave it out."""
    if len(words) != 4 or words[0] not in '[(' or words[3] not in '])':
        return False
    lower = _NUMBERS['>=' if words[0] == '[' else '>']
    upper = _NUMBERS['<=' if words[3] == ']' else '<']
    return _compare(lower, value, words[1]) and _compare(upper, value, words[2])
