"""The torch twin of our pre-training computes what ours does."""

import numpy as np
import pytest

from bertfeat_tools.pretraining.model import HEADS
from torch_pretraining import batch, torch_loss

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from torch_pretrain import loss_of, tensors  # noqa: E402


def test_its_loss_is_that_of_transformers_heads_with_all_places_or_the_masked_ones(tiny_bert):
    model = transformers.BertForPreTraining.from_pretrained(tiny_bert(heads=HEADS)).eval()
    values = batch(0)
    with torch.inference_mode():
        expected = torch_loss(model, values).item()
        for whole in (False, True):
            found = loss_of(model, tensors(values), whole).item()
            np.testing.assert_allclose(found, expected, rtol=1e-5)
