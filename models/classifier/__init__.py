"""Names the category of a shop's thumbnail."""
