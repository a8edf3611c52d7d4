"""A drawn set on disk: the folder, its labels and manifest, the workers, and what is said of it."""
