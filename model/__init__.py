"""Text in, verdict out. Imports neither `bot` nor `training`."""
