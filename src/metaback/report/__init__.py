"""report layer of metaback; see DESIGN in docs/decisions and CONTRIBUTING."""
