"""Plain data and pure rules: what happens, what a community wants, what is decided. No I/O, no clock."""
