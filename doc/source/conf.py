"""Sphinx configuration."""

project = 'Kilonova'
author = 'The Kilonova developers'
extensions: list[str] = []
exclude_patterns = ['**/*.inc']
html_theme = 'alabaster'
