"""Requests made of the OpenAPI document, right ones and wrong ones: no answer is a defect of ours."""

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kilonova.api import versions
from kilonova.api.openapi import document
from kilonova.api.openapi.ranges import MAX, MIN
from kilonova.tests.functional.routes import CALLER

load_all_checks()
PATHS: dict[str, Any] = document.document()['paths']
# Reads come first: what the others do to the things is not what this is about.
ORDER = ('get', 'head', 'put', 'post', 'delete')
OPERATIONS = sorted(
    ((path, method) for path, item in PATHS.items() for method in item if method in ORDER),
    key=lambda one: (ORDER.index(one[1]), one[0]),
)
# What a path answers that is not there at all, or not at a version.
NO_ROUTE = '"The resource could not be found."'
CONTENT = [content_type_conformance, response_schema_conformance]


def _modes(path: str, method: str) -> list[GenerationMode]:
    """Where nothing but the path is asked for, nothing can be wrong."""
    described = PATHS[path][method]
    takes = 'requestBody' in described or len(described['parameters']) > 1
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else [])]


CASES = [(path, method, mode) for path, method in OPERATIONS for mode in _modes(path, method)]


def fuzz(examples: int, same: bool) -> settings:
    """Return settings for so many examples of each; ``same`` in every run, or new ones."""
    return settings(
        max_examples=examples,
        derandomize=same,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def check(
    schema: Any,
    known: Mapping[str, str],
    path: str,
    method: str,
    mode: Any,
    how: settings,
    there: bool = True,
) -> None:
    """Send examples of one operation; each answer is one that the document describes.

    ``there``: what paths name exists, so that some examples reach it, and all fellow services do.
    """
    described = PATHS[path][method]
    ends = [described[MIN], described.get(MAX, str(versions.MAX))]
    strategy = schema[path][method.upper()].as_strategy(
        generation_mode=mode,
        path_parameters={name: known.get(name, 'x') for name in re.findall(r'{(\w+)}', path)},
        headers={'X-Auth-Token': CALLER},
    )
    reached = []
    refused = (501,) if there else (501, 503)

    @how
    @given(case=strategy, version=st.sampled_from(ends))
    def send(case: Any, version: str) -> None:
        case.headers[versions.HEADER] = f'compute {version}'
        answer = case.call()
        sent = case.query, case.body, answer.text
        assert answer.status_code < 500 or answer.status_code in refused, sent
        # Actions share one answer in the document, and most of them say nothing.
        checks = [status_code_conformance, *(CONTENT if answer.content else [])]
        case.validate_response(answer, checks=checks)
        reached.append(answer.status_code != 300 and NO_ROUTE not in answer.text)

    send()
    assert any(reached) or not there
