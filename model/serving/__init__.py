"""Serves many callers with one device: batches, shared answers, the process that owns the device, its stand-in."""
