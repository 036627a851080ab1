"""What the loop trains: a tagger's network under its likelihood."""

from typing import Any

from keras import ops

from bertfeat.ner.network import TaggerNetwork
from bertfeat_tools.training.model import TrainingModel


class TaggerTraining(TrainingModel):
    """The mean over sentences of the negative log-likelihood of their tags.

    Args:
        network: trained in place.
    """

    def __init__(self, network: TaggerNetwork) -> None:
        super().__init__(name="tagging")
        self.network = network

    def call(self, batch: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the loss of a batch: the network's inputs and ``tags`` int32 (B, S)."""
        emissions = self.network(batch, training=training)
        found = self.network.log_likelihood(emissions, batch["tags"], batch["mask"])
        return {"loss": -ops.mean(found)}
