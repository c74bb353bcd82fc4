"""From many callers to one device: batches, shared answers, the process that owns the device, its stand-ins."""
