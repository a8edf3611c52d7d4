"""From images to predictions: the recognizer, the engines that run the network, and the pipeline that feeds them."""
