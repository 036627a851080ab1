"""A tagger with random weights on frozen features."""

import numpy as np

from bertfeat.ner.schemes import labels_of
from bertfeat.ner.settings import TaggerSettings
from bertfeat_tools.ner.train import FEATURE_BASED


def write_random_tagger(encoder, target):
    """Write a tagger for the encoder in a folder; give its own folder back."""
    from bertfeat import Encoder
    from bertfeat_tools.training.encoder import start

    start(0)
    from bertfeat.ner.network import TaggerNetwork

    settings = TaggerSettings(
        labels=tuple(labels_of("XY", "IOB2")), encoder=str(encoder), layers=(1, 2), hidden_size=16,
        encoder_hash=Encoder.load(encoder).model_hash, rnn_units=4, max_seq_len=64,
    )  # fmt: skip
    network = TaggerNetwork(settings)
    rng = np.random.default_rng(1)
    for weight in network.weights:
        weight.assign(rng.normal(size=weight.shape))
    FEATURE_BASED.save(network, settings, target)
    return target
