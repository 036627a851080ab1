"""Training of taggers on frozen features, and the BERT paper's table of them."""
