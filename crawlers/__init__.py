"""Fetch: sites, HTTP, browsers, politeness. What comes out is tables of posts and catalogs with their image bytes."""
