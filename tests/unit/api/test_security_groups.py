"""Security groups and their rules, passed on from Neutron."""

from typing import Any

import pytest

from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.api import ADMIN, MEMBER, Api
from kilonova.tests.unit.api.passed_on import Fellows

OTHER = 'mallory:evil'
NOTHING = '0f7b9b8c-1111-4222-8333-944445555666'
PATH, RULES = '/os-security-groups', '/os-security-group-rules'


def _call(api: Api, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
    return api.call(method, path, body, **{'token': MEMBER, **kwargs})


def _check(answer: Any, method: str, path: str) -> None:
    name = 'RulesController' if 'rules' in path else 'Controller'
    operations = reference.operations(f'security_groups.SecurityGroup{name}')
    reference.check(answer, reference.schema_for(operations[method, path, None], 'response', '2.1'))


@pytest.fixture
def web(fellows: Fellows) -> str:
    return fellows.neutron.add_group('web', description='servers')


def _rule(api: Api, group: str, **values: Any) -> Any:
    body = {'security_group_rule': {'parent_group_id': group, **values}}
    return _call(api, 'POST', RULES, body)


# -- groups


def test_group_life(api: Api, fellows: Fellows) -> None:
    body = {'security_group': {'name': ' x ', 'description': ''}}
    answer = _call(api, 'POST', PATH, body)
    _check(answer.json, 'POST', PATH)
    made = answer.json['security_group']
    assert made == {
        'id': made['id'], 'name': ' x ', 'description': '', 'tenant_id': 'demo', 'rules': []
    }  # fmt: skip
    change = {'security_group': {'name': 'y', 'description': 'z'}}
    changed = _call(api, 'PUT', f'{PATH}/{made["id"]}', change)
    _check(changed.json, 'PUT', PATH + '/{id}')
    assert changed.json == {'security_group': {**made, 'name': 'y', 'description': 'z'}}
    assert api.get(f'{PATH}/{made["id"]}', token=MEMBER) == changed.json
    answer = _call(api, 'DELETE', f'{PATH}/{made["id"]}')
    assert (answer.status, answer.body) == (202, b'')
    assert fellows.neutron.things['security-groups'] == {}


def test_lists(api: Api, fellows: Fellows, web: str) -> None:
    foreign = fellows.neutron.add_group('a', 'evil')
    default = fellows.neutron.add_group('default')
    listed = api.get(PATH, token=MEMBER)
    _check(listed, 'GET', PATH)
    assert [one['id'] for one in listed['security_groups']] == [default, web]

    def ids(query: str, token: str = MEMBER) -> list[str]:
        return [one['id'] for one in api.get(f'{PATH}?{query}', token=token)['security_groups']]

    assert ids('limit=1') == [default]
    assert ids('limit=1&offset=1') == [web]
    assert ids('limit=0') == ids('unknown=1') == [default, web]
    assert ids('offset=99999999999999999999') == []
    assert ids('all_tenants=1') == [default, web]
    assert ids('all_tenants=1', ADMIN) == [default, web, foreign]
    assert ids('', ADMIN) == []
    for query in ('limit=x', 'offset=-1', 'limit='):
        assert _call(api, 'GET', f'{PATH}?{query}').status == 400


@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_groups_of_others(api: Api, fellows: Fellows, method: str) -> None:
    foreign = fellows.neutron.add_group('a', 'evil')
    body = {'security_group': {'name': 'y', 'description': 'z'}} if method == 'PUT' else None
    for missing in (foreign, NOTHING):
        assert _call(api, method, f'{PATH}/{missing}', body).fault[0] == 'itemNotFound'
    for impossible in ('x', '1'):
        fault = _call(api, method, f'{PATH}/{impossible}', body).fault
        assert fault == ('badRequest', 'Security group id should be uuid')
    assert fellows.neutron.things['security-groups'][foreign]['name'] == 'a'


@pytest.mark.parametrize(
    'group', [{'name': 'x'}, {'description': 'x'}, {'name': 'x' * 256, 'description': ''}, {}, 5]
)
def test_bad_groups(api: Api, fellows: Fellows, web: str, group: Any) -> None:
    fellows.neutron.requests.clear()
    for method, path in (('POST', PATH), ('PUT', f'{PATH}/{web}')):
        assert _call(api, method, path, {'security_group': group}).status == 400
    assert fellows.neutron.requests == []


def test_refusals(api: Api, fellows: Fellows, web: str) -> None:
    fellows.neutron.add_group('default')
    default = {'security_group': {'name': 'default', 'description': ''}}
    name, message = _call(api, 'POST', PATH, default).fault
    assert name == 'forbidden' and 'Default security group already exists.' in message
    network = fellows.neutron.add_network()
    fellows.neutron.make_port(network_id=network, security_groups=[web])
    name, message = _call(api, 'DELETE', f'{PATH}/{web}').fault
    assert name == 'badRequest' and f'Security Group {web} in use.' in message
    fellows.neutron.group_quota = 2
    other = {'security_group': {'name': 'one too many', 'description': ''}}
    name, message = _call(api, 'POST', PATH, other).fault
    assert name == 'forbidden' and 'Quota exceeded' in message


# -- rules


@pytest.mark.parametrize(
    'asked, shown',
    [
        (
            {'ip_protocol': 'tcp', 'from_port': 22, 'to_port': 22, 'cidr': '10.0.0.0/24'},
            ('tcp', 22, 22, '10.0.0.0/24'),
        ),
        (
            {'ip_protocol': 'TCP', 'from_port': '80', 'to_port': '81', 'cidr': ''},
            ('tcp', 80, 81, '0.0.0.0/0'),
        ),
        ({'ip_protocol': 'udp', 'from_port': 1, 'to_port': 65535}, ('udp', 1, 65535, '0.0.0.0/0')),
        ({'ip_protocol': 'icmp', 'from_port': -1, 'to_port': -1}, ('icmp', -1, -1, '0.0.0.0/0')),
        (
            {'ip_protocol': 'icmp', 'from_port': 8, 'to_port': 0, 'cidr': '::/0'},
            ('icmp', 8, 0, '::/0'),
        ),
        (
            {'ip_protocol': 'tcp', 'from_port': 1, 'to_port': 2, 'cidr': '10.0.0.5/24'},
            ('tcp', 1, 2, '10.0.0.5/24'),
        ),
    ],
)  # fmt: skip
def test_rules_about_addresses(api: Api, web: str, asked: Any, shown: Any) -> None:
    answer = _rule(api, web, **asked)
    _check(answer.json, 'POST', RULES)
    rule = answer.json['security_group_rule']
    protocol, first, last, cidr = shown
    assert rule == {
        'id': rule['id'], 'parent_group_id': web, 'ip_protocol': protocol, 'from_port': first,
        'to_port': last, 'group': {}, 'ip_range': {'cidr': cidr},
    }  # fmt: skip
    assert api.get(f'{PATH}/{web}', token=MEMBER)['security_group']['rules'] == [rule]
    fault = _rule(api, web, **asked).fault
    assert fault == ('badRequest', f'This rule already exists in group {web}')
    assert _call(api, 'DELETE', f'{RULES}/{rule["id"]}').status == 202
    assert _call(api, 'DELETE', f'{RULES}/{rule["id"]}').fault[0] == 'itemNotFound'


@pytest.mark.parametrize(
    'asked, shown',
    [
        ({}, (None, None, None)),
        ({'ip_protocol': 'tcp'}, ('tcp', 1, 65535)),
        ({'ip_protocol': 'icmp'}, ('icmp', -1, -1)),
        ({'ip_protocol': 'udp', 'from_port': 1, 'to_port': 65535}, ('udp', 1, 65535)),
        ({'ip_protocol': 'tcp', 'from_port': 5, 'to_port': 6, 'cidr': '10.0.0.0/8'}, ('tcp', 5, 6)),
    ],
)
def test_rules_about_groups(api: Api, fellows: Fellows, web: str, asked: Any, shown: Any) -> None:
    friends = fellows.neutron.add_group('friends')
    answer = _rule(api, web, group_id=friends, **asked)
    _check(answer.json, 'POST', RULES)
    rule = answer.json['security_group_rule']
    assert (rule['ip_protocol'], rule['from_port'], rule['to_port']) == shown
    assert (rule['group'], rule['ip_range']) == ({'name': 'friends', 'tenant_id': 'demo'}, {})
    assert api.get(f'{PATH}/{web}', token=MEMBER)['security_group']['rules'] == [rule]


@pytest.mark.parametrize(
    'asked, message',
    [
        ({}, 'Not enough parameters to build a valid rule.'),
        ({'ip_protocol': 'tcp'}, 'Not enough parameters to build a valid rule.'),
        ({'ip_protocol': 'tcp', 'from_port': 1}, 'Not enough parameters to build a valid rule.'),
        (
            {'ip_protocol': 'foo', 'from_port': 22, 'to_port': 22},
            'Invalid IP protocol foo.',
        ),
        ({'ip_protocol': 6, 'from_port': 22, 'to_port': 22}, 'Invalid IP protocol 6.'),
        (
            {'ip_protocol': 'tcp', 'from_port': 23, 'to_port': 22},
            'Invalid port range 23:22. Former value cannot be greater than the later',
        ),
        (
            {'ip_protocol': 'tcp', 'from_port': 22, 'to_port': 70000},
            'Invalid port range 22:70000. Valid TCP ports should be between 1-65535',
        ),
        (
            {'ip_protocol': 'udp', 'from_port': 0, 'to_port': 0},
            'Invalid port range 0:0. Valid UDP ports should be between 1-65535',
        ),
        (
            {'ip_protocol': 'icmp', 'from_port': 256, 'to_port': 256},
            'Invalid port range 256:256. For ICMP, the type:code must be valid',
        ),
        (
            {'ip_protocol': 'tcp', 'from_port': 'x', 'to_port': 2},
            'Invalid input received: To and From ports must be integers',
        ),
        (
            {'ip_protocol': 'tcp', 'from_port': 1.5, 'to_port': 2},
            'Invalid input received: To and From ports must be integers',
        ),
        *(
            (
                {'ip_protocol': 'tcp', 'from_port': 1, 'to_port': 2, 'cidr': cidr},
                f'{cidr} is not a valid IP network.',
            )
            for cidr in ('x', '10.0.0.5', '10.0.0.0/99', 5, ['10.0.0.0/8'])
        ),
    ],
)  # fmt: skip
def test_bad_rules(api: Api, fellows: Fellows, web: str, asked: Any, message: str) -> None:
    before = str(fellows.neutron.things)
    assert _rule(api, web, **asked).fault == ('badRequest', message)
    assert str(fellows.neutron.things) == before


def test_rules_of_others(api: Api, fellows: Fellows, web: str) -> None:
    foreign = fellows.neutron.add_group('theirs', 'evil')
    ports = {'ip_protocol': 'tcp', 'from_port': 1, 'to_port': 2}
    before = str(fellows.neutron.things)
    for missing in (foreign, NOTHING):
        fault = _rule(api, missing, **ports).fault
        assert fault == ('itemNotFound', f'Security group {missing} does not exist')
        assert _rule(api, web, group_id=missing, **ports).status == 404
    assert _rule(api, 'x', **ports).status == 400
    assert _call(api, 'DELETE', f'{RULES}/x').status == 400
    assert str(fellows.neutron.things) == before
    rule = _rule(api, web, **ports).json['security_group_rule']['id']
    assert _call(api, 'DELETE', f'{RULES}/{rule}', token=OTHER).status == 404
    assert len(api.get(f'{PATH}/{web}', token=MEMBER)['security_group']['rules']) == 1


def test_a_list_asks_neutron_twice_at_most(api: Api, fellows: Fellows, web: str) -> None:
    foreign = fellows.neutron.add_group('theirs', 'admin')
    for number in range(1, 6):
        group = fellows.neutron.add_group(f'group{number}')
        _rule(api, group, group_id=web, ip_protocol='tcp', from_port=number, to_port=number)
    rules = fellows.neutron.things['security-groups'][web]['security_group_rules']
    rules.append({**rules[0], 'direction': 'ingress', 'remote_group_id': foreign})
    fellows.neutron.requests.clear()
    shown = api.get(PATH, token=MEMBER)['security_groups']
    assert len(fellows.neutron.requests) == 2
    # What another project calls its group is not for this one.
    assert [one['rules'][0]['group'] for one in shown if one['id'] == web] == [{}]


@pytest.mark.parametrize('status, ours', [(500, 503), (401, 503), (403, 403), (404, 404)])
def test_neutron_fails(api: Api, fellows: Fellows, web: str, status: int, ours: int) -> None:
    fellows.neutron.break_with(status, 'security-group')
    body = {'security_group': {'name': 'y', 'description': 'z'}}
    for method, path in (('GET', f'{PATH}/{web}'), ('PUT', f'{PATH}/{web}'), ('POST', PATH),
                         ('DELETE', f'{PATH}/{web}'), ('DELETE', f'{RULES}/{NOTHING}')):  # fmt: skip
        assert (
            _call(api, method, path, None if method in ('GET', 'DELETE') else body).status == ours
        )


def test_samples(api: Api, fellows: Fellows, web: str) -> None:
    samples = {
        name.rpartition('/')[2]: body for name, body in reference.samples('os-security-groups')
    }
    made = _call(api, 'POST', PATH, samples['security-group-post-req.json'])
    assert made.json['security_group'].keys() == (
        samples['security-groups-create-resp.json']['security_group'].keys()
    )
    body = samples['security-group-rules-post-req.json']
    body['security_group_rule']['parent_group_id'] = web
    rule = _call(api, 'POST', RULES, body).json['security_group_rule']
    expected = samples['security-group-rules-post-resp.json']['security_group_rule']
    assert rule == {**expected, 'id': rule['id'], 'parent_group_id': web}


def test_only_up_to_their_last_version(api: Api, web: str) -> None:
    for path in (PATH, f'{PATH}/{web}'):
        assert _call(api, 'GET', path, version='2.35').status == 200
        assert _call(api, 'GET', path, version='2.36').status == 404
    assert _call(api, 'DELETE', f'{RULES}/{web}', version='2.36').status == 404
