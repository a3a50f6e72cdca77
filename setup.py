"""Map every top-level folder to ``kilonova.<folder>``; see setup.cfg."""

import setuptools

ROOMS = (
    'allinone',
    'api',
    'common',
    'compute',
    'conductor',
    'consoleproxy',
    'db',
    'scheduler',
    'tests',
)

setuptools.setup(
    package_dir={'kilonova.' + room: room for room in ROOMS},
    packages=[
        'kilonova.' + package
        for package in setuptools.find_packages(include=[*ROOMS, *(room + '.*' for room in ROOMS)])
    ],
)
