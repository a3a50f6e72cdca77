"""A policy.yaml that was written for Nova, with the names of its day, holds here."""

import pathlib
from typing import Any

import pytest

from kilonova.api import policies
from kilonova.tests.unit.api.api import Api, make_conf
from kilonova.tests.unit.api.fake_conductor import FakeConductor

RENAMED = [
    rule
    for rule in policies.list_rules()
    if rule.deprecated_rule and rule.deprecated_rule.name != rule.name
]
SPECIAL = {'user_id': 'u', 'project_id': 'p', 'roles': ['special']}


def _conf(folder: pathlib.Path, text: str) -> str:
    (folder / 'policy.yaml').write_text(text)
    conf = folder / 'nova.conf'
    conf.write_text(f'[oslo_policy]\npolicy_file = {folder}/policy.yaml\n')
    return str(conf)


@pytest.mark.parametrize('rule', RENAMED, ids=lambda rule: str(rule.name))
def test_an_old_name_rules_the_new_ones(tmp_path: pathlib.Path, rule: Any) -> None:
    """Who had written a rule before it was split has written its parts."""
    old = rule.deprecated_rule.name
    if old.startswith('rule:'):
        pytest.skip('stands for a default, not for a name in files')
    enforcer = policies.get_enforcer(make_conf(_conf(tmp_path, f'"{old}": "role:special"\n')))
    target = {'project_id': 'other', 'user_id': 'other'}
    assert enforcer.enforce(rule.name, target, SPECIAL)
    assert not enforcer.enforce(rule.name, target, {**SPECIAL, 'roles': ['reader']})


def test_the_new_name_wins(tmp_path: pathlib.Path) -> None:
    text = '"os_compute_api:os-services": "@"\n"os_compute_api:os-services:list": "!"\n'
    enforcer = policies.get_enforcer(make_conf(_conf(tmp_path, text)))
    assert not enforcer.enforce('os_compute_api:os-services:list', {}, SPECIAL)
    assert enforcer.enforce('os_compute_api:os-services:update', {}, SPECIAL)


@pytest.mark.parametrize('base', ['admin_api', 'admin_or_owner'])
def test_old_base_rules_are_known(tmp_path: pathlib.Path, base: str) -> None:
    """Files refer to them; they need not say what they are."""
    text = f'"os_compute_api:servers:show": "rule:{base}"\n'
    enforcer = policies.get_enforcer(make_conf(_conf(tmp_path, text)))
    values = {**SPECIAL, 'is_admin': True}
    assert enforcer.enforce('os_compute_api:servers:show', {'project_id': 'p'}, values)
    values = {**SPECIAL, 'is_admin': False}
    assert not enforcer.enforce('os_compute_api:servers:show', {'project_id': 'other'}, values)


def test_through_the_door(tmp_path: pathlib.Path) -> None:
    """What the file opens is open, what it closes is closed, and the rest is as it was."""
    text = '"os_compute_api:os-hypervisors": "role:member"\n"os_compute_api:extensions": "!"\n'
    api = Api(FakeConductor(), _conf(tmp_path, text))
    assert api.call('GET', '/os-hypervisors', token='demo:demo').status == 200
    assert api.call('GET', '/extensions').status == 403
    assert api.call('GET', '/os-services', token='demo:demo').status == 403
