"""Training of sentence vectors on the common loop (Reimers and Gurevych 2019)."""
