"""What projects use, from servers that lived."""

import datetime

from kilonova.tests.functional import compare
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.unit.api.reference import sample

CLOUD = {'extra': '[DEFAULT]\ninstance_usage_audit = true\ninstance_usage_audit_period = hour'}
USAGE = '/os-simple-tenant-usage'


def test_usage_of_living_and_dead(cloud: Cloud, flavor: str, image: str, clean: None) -> None:
    ids = [cloud.boot(flavor, image, name=f'used-{number}') for number in (1, 2)]
    for uuid in ids:
        cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.call('DELETE', f'/servers/{ids[1]}').status == 204
    cloud.wait_gone(ids[1])
    end = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(hours=1)
    times = f'start=2020-01-01T00:00:00&end={end:%Y-%m-%dT%H:%M:%S}'
    with cloud.counted() as counts:
        shown = cloud.get(f'{USAGE}/demo?{times}')['tenant_usage']
    assert counts.rpc == ['call get_usage'] and len(counts.sql) == 1, counts.sql
    states = {one['instance_id']: one['state'] for one in shown['server_usages']}
    assert states == {ids[0]: 'active', ids[1]: 'terminated'}
    assert 0.99 <= shown['total_hours'] < 1.2  # the end asked for is a whole second
    assert shown['total_memory_mb_usage'] == 512 * shown['total_hours']
    example = sample('os-simple-tenant-usage/simple-tenant-usage-get-specific.json')
    compare.check({'tenant_usage': shown}, example)
    everybody = cloud.admin('GET', f'{USAGE}?detailed=1&{times}', version='2.1').json
    compare.check(everybody, sample('os-simple-tenant-usage/simple-tenant-usage-get-detail.json'))
    brief = cloud.admin('GET', f'{USAGE}?{times}', version='2.1').json
    compare.check(brief, sample('os-simple-tenant-usage/simple-tenant-usage-get.json'))

    seen, path = [], f'{USAGE}/demo?{times}&limit=1'
    while path:
        page = cloud.get(path)
        seen += [one['instance_id'] for one in page['tenant_usage'].get('server_usages', [])]
        path = page.get('tenant_usage_links', [{'href': ''}])[0]['href'].partition('/v2.1')[2]
    assert seen == sorted(ids)

    assert cloud.call('GET', f'{USAGE}/demo?{times}', token='mallory:evil').status == 403
    assert cloud.get(f'{USAGE}/evil?{times}', token='mallory:evil') == {'tenant_usage': {}}
    foreign = f'{USAGE}/evil?{times}&marker={ids[0]}'
    assert cloud.call('GET', foreign, token='mallory:evil').status == 400
    assert cloud.call('GET', f'{USAGE}?{times}').status == 403


def test_the_audit_counts_what_lived(cloud: Cloud) -> None:
    path = '/os-instance_usage_audit_log'
    before = cloud.admin('GET', path).json['instance_usage_audit_logs']
    assert (before['num_hosts'], before['num_hosts_not_run']) == (1, 1)
    assert before['overall_status'] == '0 of 1 hosts done. 0 errors.'
    (compute,) = cloud.all.computes.computes
    compute._audit_usage()
    after = wait(
        lambda: cloud.admin('GET', path).json['instance_usage_audit_logs'], 'the audit is shown'
    )
    assert after['overall_status'] == 'ALL hosts done. 0 errors.'
    compare.check(
        {**after, 'log': list(after['log'].values())},
        {
            **(example := sample(
                'os-instance-usage-audit-log/inst-usage-audit-log-index-get-resp.json'
            )['instance_usage_audit_logs']),
            'log': list(example['log'].values()),
        },
    )  # fmt: skip
    old = cloud.admin('GET', f'{path}/2020-01-01 00:00:00').json['instance_usage_audit_log']
    assert old['period_ending'] == '2020-01-01 00:00:00' and old['log'] == {}
    assert cloud.admin('GET', f'{path}/never').status == 400
    assert cloud.call('GET', path).status == 403
