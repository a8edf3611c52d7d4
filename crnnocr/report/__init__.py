"""The result of an evaluation as JSON, TSV, terminal tables, an HTML page, and files of suspected label errors."""
