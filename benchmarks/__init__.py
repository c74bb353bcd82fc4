"""Each benchmark prints ratios against a named baseline, measured interleaved in one run."""
