"""Models for other programs: as an ONNX graph or a page for browsers, verified against the model."""
