"""Embeds garments such that a worn one lies next to its own thumbnail."""
