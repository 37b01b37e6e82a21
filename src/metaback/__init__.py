"""metaback."""
