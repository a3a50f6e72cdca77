"""Entry points for other web servers, and the policy command."""

import subprocess
import sys

import pytest

from kilonova.api import deployment, policy_cmd


@pytest.mark.parametrize(
    'environment, files',
    [
        ({}, ['/etc/nova/nova.conf']),
        ({'OS_NOVA_CONFIG_DIR': '/x '}, ['/x/nova.conf']),
        ({'OS_NOVA_CONFIG_FILES': 'a.conf; b.conf'}, ['/etc/nova/a.conf', '/etc/nova/b.conf']),
        ({'OS_NOVA_CONFIG_FILES': 'api-paste.ini;nova.conf'}, ['/etc/nova/nova.conf']),
    ],
)
def test_config_files(environment: dict[str, str], files: list[str]) -> None:
    assert deployment.config_files(environment) == files


def test_application_is_built_from_the_environment(tmp_path: object) -> None:
    script = (
        'import os, sys, pathlib\n'
        'folder = pathlib.Path(sys.argv[1])\n'
        "(folder / 'nova.conf').write_text("
        "'[DEFAULT]\\ntransport_url = fake://\\n[api]\\nauth_strategy = noauth2\\n')\n"
        "os.environ['OS_NOVA_CONFIG_DIR'] = str(folder)\n"
        'from kilonova.api import wsgi\n'
        'import webob\n'
        # uWSGI looks into the module's dictionary.
        "application = vars(wsgi)['compute']\n"
        "print(webob.Request.blank('/v2.1').get_response(application).status)\n"
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.endswith('200 OK\n'), done.stderr


@pytest.mark.parametrize(
    'words, status, shown',
    [
        (['--os-roles', 'reader'], 0, 'os_compute_api:os-flavor-extra-specs:index'),
        (['--os-roles', 'nobody'], 1, 'No rule matches and passes.'),
    ],
)
def test_policy_check(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: object,
    words: list[str],
    status: int,
    shown: str,
) -> None:
    path = f'{tmp_path}/nova.conf'
    with open(path, 'w') as file:
        file.write('[DEFAULT]\n')
    argv = ['nova-policy', '--config-file', path, '--os-project-id', 'p', *words]
    monkeypatch.setattr(sys, 'argv', [*argv, 'policy', 'check', '--api-name', 'extra-specs:index'])
    assert policy_cmd.main() == status
    assert shown in capsys.readouterr().out
