"""From raw text to an encoder: vocabulary, masked examples, pre-training (Devlin et al. 2019)."""
