"""An evaluation's result for people and for machines: on the terminal, as JSON, as rows, as a page."""
