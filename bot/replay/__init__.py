"""Runs a file through the pipeline in shadow mode and reports what Domovoi would do."""
