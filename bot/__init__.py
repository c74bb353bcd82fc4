"""The service: events in, actions out."""
