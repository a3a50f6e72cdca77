"""Two virtual environments: the fellow services, and Kilonova from this checkout."""

import hashlib
import shutil
from pathlib import Path

from devcloud import commands
from devcloud.commands import run
from devcloud.progress import StepError, say
from devcloud.settings import CHECKOUT, SYSTEM_PYTHON, Settings

SERVICES = (
    'keystone', 'glance', 'openstack-placement', 'neutron', 'python-openstackclient', 'PyMySQL',
)  # fmt: skip
# Linked against the Python that it is compiled with.  pip's cache does not know of that, and
# may hold one of another Python 3.11 of the user's, which then cannot find its own modules.
COMPILED_HERE = 'uWSGI'
SERVICES_CONSTRAINTS = Path(__file__).with_name('services-constraints.txt')
_NOT_SOURCE = (
    '.git',
    '.tox',
    '.venv',
    'build',
    'dist',
    'doc',
    '__pycache__',
    '*.egg-info',
    '*.pyc',
)


def services(settings: Settings) -> None:
    """Keystone, Glance, Placement, Neutron, the openstack client, and what else was chosen."""
    if settings.choices.services_venv:
        say('services', f'using {settings.services_venv}')
        return
    key = services_key(settings)
    if settings.is_done('services-venv', key):
        say('services', f'installed in {settings.services_venv}')
    else:
        _usual_services(settings, key)
    for name in settings.choices.services:
        if not settings.is_done(f'{name}-venv', key):
            say('services', f'pip install {name}')
            log = settings.log / 'pip-services.log'
            pip = settings.services_venv / 'bin/pip'
            _install(pip, ['-c', SERVICES_CONSTRAINTS, name], log)
            settings.set_done(f'{name}-venv', key)


def _usual_services(settings: Settings, key: str) -> None:
    say('services', f'pip install {" ".join(SERVICES)}')
    log = settings.log / 'pip-services.log'
    pip = _create(settings.services_venv, log)
    _install(pip, ['-c', SERVICES_CONSTRAINTS, '--no-cache-dir', COMPILED_HERE], log)
    _install(pip, ['-c', SERVICES_CONSTRAINTS, *SERVICES], log)
    settings.set_done('services-venv', key)


def services_key(settings: Settings) -> str:
    """Changes when the services' code does."""
    if settings.choices.services_venv:
        return settings.choices.services_venv
    digest = hashlib.sha256(SERVICES_CONSTRAINTS.read_bytes())
    digest.update(' '.join([*SERVICES, COMPILED_HERE]).encode())
    return digest.hexdigest()


def kilonova(settings: Settings) -> None:
    """Kilonova itself; installed again when the checkout has changed."""
    if settings.choices.compute_venv:
        say('kilonova', f'using {settings.compute_venv}')
        return
    key = kilonova_key(settings)
    if settings.is_done('kilonova-venv', key):
        say('kilonova', f'installed in {settings.compute_venv}')
        return
    log = settings.log / 'pip-kilonova.log'
    fresh = not (settings.compute_venv / 'bin/pip').exists()
    pip = _create(settings.compute_venv, log) if fresh else settings.compute_venv / 'bin/pip'
    # From a copy: a build in the checkout would leave files of root's there.
    source = settings.state / 'source'
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(CHECKOUT, source, ignore=shutil.ignore_patterns(*_NOT_SOURCE))
    say('kilonova', f'pip install {CHECKOUT}')
    extras = 'mysql,postgresql' if settings.fake else 'mysql,postgresql,libvirt'
    _install(pip, ['-c', _constraints(settings), f'{source}[{extras}]'], log)
    if not fresh:
        # The version is the same, so pip may have thought that nothing has changed.
        _install(pip, ['--no-deps', '--force-reinstall', source], log)
    shutil.rmtree(source, ignore_errors=True)
    settings.set_done('kilonova-venv', key)


def kilonova_key(settings: Settings) -> str:
    """Changes when the checkout does."""
    if settings.choices.compute_venv:
        return settings.choices.compute_venv
    digest = hashlib.sha256(settings.choices.driver.encode())
    for path in sorted(_sources()):
        digest.update(f'{path.relative_to(CHECKOUT)}\0'.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> list[Path]:
    """What ends up in the package: the rooms of setup.py, and how they are packed."""
    found = [CHECKOUT / name for name in ('setup.py', 'setup.cfg', 'constraints.txt')]
    for room in CHECKOUT.iterdir():
        if (room / '__init__.py').exists() and room.name != 'tests':
            found += [path for path in room.rglob('*') if '__pycache__' not in path.parts]
    found += (CHECKOUT / 'etc').rglob('*')
    return [path for path in found if path.is_file()]


def _constraints(settings: Settings) -> Path:
    if settings.fake:
        return CHECKOUT / 'constraints.txt'
    # libvirt-python builds only against a libvirt that is as new as itself.
    lines = (CHECKOUT / 'constraints.txt').read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith('libvirt-python==')]
    libvirt = run(['pkg-config', '--modversion', 'libvirt']).stdout.strip()
    written = settings.state / 'kilonova-constraints.txt'
    written.write_text(''.join(kept) + f'libvirt-python=={libvirt}\n')
    return written


def _create(venv: Path, log: Path) -> Path:
    """Make an empty environment, in place of a half-filled one of an earlier try."""
    if venv.exists():
        shutil.rmtree(venv)
    venv.parent.mkdir(exist_ok=True)
    run([SYSTEM_PYTHON, '-m', 'venv', venv], log=log)
    pip = venv / 'bin/pip'
    # Packages without a wheel are built the modern way only if these are there.
    _install(pip, ['wheel', 'setuptools'], log)
    return pip


def _install(pip: Path, arguments: list[str | Path], log: Path) -> None:
    try:
        run(
            [pip, 'install', '--disable-pip-version-check', '--no-input', *arguments],
            env=commands.environment(download=True),
            log=log,
            timeout=1800,
        )
    except commands.CommandError as error:
        raise StepError(error.reason, log) from None
