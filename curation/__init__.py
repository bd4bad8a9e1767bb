"""Curate: schemas, tables, hashes, near-duplicates, pairing rules, splits. Knows no Dagster, no torch, no Scrapy."""
