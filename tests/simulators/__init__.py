"""Servers that speak a platform's protocol over loopback, so that tests run the unmodified client library."""
