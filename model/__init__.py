"""Text in, verdict out. Imports neither `bot` nor `training`."""

import logging

# bitsandbytes says at every start that an optional package is missing, and once per product that it casts.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
