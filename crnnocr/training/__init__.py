"""Training: from labeled images to a stored model."""
