"""The endpoint that is measured: logging in, and what has to be there."""

import json
import re
import sys
from urllib.parse import urlencode

from measure.connection import Http


def fail(msg):
    sys.exit('bench: ' + msg)


class Cloud:
    def __init__(self, a):
        self.a = a
        self.http = Http(
            {
                'Accept': 'application/json',
                'User-Agent': 'kilonova-bench',
                'X-OpenStack-Nova-API-Version': a.microversion,
                'OpenStack-API-Version': 'compute ' + a.microversion,
            }
        )
        self.compute, self.image_url, self.project_id = a.compute, a.image_url, a.project_id
        if a.token:
            self.http.headers['X-Auth-Token'] = a.token
        elif a.auth_url:
            self.login()
        if not self.compute:
            fail('no --compute and none in the catalog')
        self.compute = self.compute.rstrip('/')

    def login(self):
        a = self.a
        body = {
            'auth': {
                'identity': {
                    'methods': ['password'],
                    'password': {
                        'user': {
                            'name': a.user,
                            'domain': {'name': a.domain},
                            'password': a.password,
                        }
                    },
                },
                'scope': {'project': {'name': a.project, 'domain': {'name': a.domain}}},
            }
        }
        s, out, h = self.http('POST', a.auth_url.rstrip('/') + '/auth/tokens', body)
        if s != 201:
            fail('auth: %d %s' % (s, out[:300]))
        self.http.headers['X-Auth-Token'] = h['X-Subject-Token']
        t = json.loads(out)['token']
        self.project_id = self.project_id or t['project']['id']
        for svc in t.get('catalog', []):
            url = next((e['url'] for e in svc['endpoints'] if e['interface'] == 'public'), None)
            if svc['type'] == 'compute':
                self.compute = self.compute or url
            elif svc['type'] == 'image':
                self.image_url = self.image_url or url

    def get(self, path):
        s, out, _ = self.http('GET', self.compute + path)
        if s != 200:
            raise RuntimeError('GET %s: %d %s' % (path, s, out[:300]))
        return json.loads(out)

    def setup(self):
        a = self.a
        if not a.no_quota and self.project_id:
            s, out, _ = self.http(
                'PUT',
                f'{self.compute}/os-quota-sets/{self.project_id}',
                {'quota_set': {'instances': -1, 'cores': -1, 'ram': -1}},
            )
            if s != 200:
                print('bench: could not raise quotas: %d %s' % (s, out[:200]), file=sys.stderr)
        fl = {f['name']: f['id'] for f in self.get('/flavors')['flavors']}
        if a.flavor not in fl:
            s, out, _ = self.http(
                'POST',
                self.compute + '/flavors',
                {'flavor': {'name': a.flavor, 'ram': 512, 'disk': 1, 'vcpus': 1}},
            )
            if s != 200:
                fail('no flavor %s and cannot create it: %d %s' % (a.flavor, s, out[:200]))
            fl[a.flavor] = json.loads(out)['flavor']['id']
        self.flavor = fl[a.flavor]
        self.image = a.image
        if not re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', a.image):
            base = (self.image_url or '').rstrip('/')
            base = re.sub(r'/v2$', '', base)
            s, out, _ = self.http('GET', base + '/v2/images?' + urlencode({'name': a.image}))
            imgs = json.loads(out)['images'] if s == 200 else []
            if not imgs:
                fail('image %s not found (%d)' % (a.image, s))
            self.image = imgs[0]['id']
        self.networks = a.network if a.network in ('none', 'auto') else [{'uuid': a.network}]
