"""``nova-manage api openapi``."""

import argparse
import pathlib
import sys

import msgspec
from oslo_config import cfg

from kilonova.api.openapi import document


def main(prog: str, words: list[str], conf: cfg.ConfigOpts) -> int:
    """Run a command of the category ``api``."""
    parser = argparse.ArgumentParser(prog=prog)
    commands = parser.add_subparsers(dest='command', required=True)
    openapi = commands.add_parser('openapi', help='Print the OpenAPI document of the compute API.')
    openapi.add_argument('--output-file', metavar='FILE', help='write it there instead')
    arguments = parser.parse_args(words)
    text = msgspec.json.format(document.encoded(), indent=1).decode() + '\n'
    if arguments.output_file:
        pathlib.Path(arguments.output_file).write_text(text)
    else:
        sys.stdout.write(text)
    return 0
