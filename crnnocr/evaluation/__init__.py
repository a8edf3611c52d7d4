"""Evaluation of models on labeled images: scores, errors, comparisons and suspected label errors."""
