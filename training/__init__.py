"""Corrections in, adapters out. Imports `model`, never `bot`: they meet in a view and in the adapters' folder."""
