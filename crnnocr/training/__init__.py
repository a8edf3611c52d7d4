"""Training: from labelled pictures to a stored model."""

import os

from crnnocr.runtime import share_cores

# oneDNN keeps the last 1024 kernels that it has prepared, one for each layer and shape. Lines of many widths have many shapes,
# and the process grew to 5 GB in an hour; with 128 it stays below 1 GB and loses under 5 % of the time.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

share_cores()
