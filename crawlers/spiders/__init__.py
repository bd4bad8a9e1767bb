"""Spiders: no retailer's name occurs here; a page object says what to ask for and how to read it."""
