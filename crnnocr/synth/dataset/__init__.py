"""A synthetic data set on disk: its folder, labels and manifest, the workers that render it, and its summary."""
