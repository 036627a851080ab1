"""The feature-based approach of the BERT paper: tags from frozen vectors, BiLSTM and CRF."""
