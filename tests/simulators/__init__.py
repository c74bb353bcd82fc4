"""Servers that speak a platform's protocol over loopback, so that tests run the unmodified client library.

`README.md` says what each simulates, how faithful it is, how to start it by hand, and how to add a route.
"""
