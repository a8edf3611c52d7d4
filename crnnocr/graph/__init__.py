"""The network as an ONNX graph: as it is built, and as it is found in a file. Needs neither torch nor onnx to be loaded."""
