"""How corrections become adapters that serve: the refresh, which adapter serves whom, and what would change."""
