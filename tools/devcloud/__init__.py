"""A complete cloud on one machine: what ``make demo`` runs; see README.rst."""
