"""Training: from labelled images to a stored model."""
