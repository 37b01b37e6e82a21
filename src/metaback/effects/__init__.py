"""From a table of trials to effects: picks the route of each row and keeps its provenance."""
