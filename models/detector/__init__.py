"""Finds garments in photos of people."""
