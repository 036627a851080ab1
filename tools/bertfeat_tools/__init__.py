"""Programs around the library: commands, conversion, training and evaluation."""
