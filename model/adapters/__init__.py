"""Adapters: versions on disk, which one serves, and the checks before one is loaded."""
