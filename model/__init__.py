"""Text in, verdict out. Imports neither `bot` nor `training`."""

import logging

# bitsandbytes logs a missing optional package at every start, and a cast for every product.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
