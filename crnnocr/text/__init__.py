"""Characters: charsets, writing direction, normalization and confusables."""
