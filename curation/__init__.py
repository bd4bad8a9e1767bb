"""Curate: schemas, tables, hashes, near-duplicates, pairing rules, splits. Pure functions on Arrow tables."""
