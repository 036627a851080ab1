"""Which layers, how combined, how pooled: one small algebra for library, CLI, server and NER."""
