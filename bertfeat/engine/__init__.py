"""How a forward pass is executed; it runs any program over the encoder and knows no feature."""
