"""Text to token ids, offsets and word ids: a thin skin over the ``tokenizers`` library.

It reads what a model's folder says, never pads, and cuts only where ``max_length`` is given.
It does not train vocabularies. Where the library departs from Google's code, ids are those of the
library and so of ``transformers``: private-use characters are dropped, a final Σ lowers to σ.
"""

from bertfeat.tokenization import _fork as _fork
from bertfeat.tokenization.encoding import Encoding
from bertfeat.tokenization.items import Item
from bertfeat.tokenization.token_ids import TokenIds
from bertfeat.tokenization.tokenizer import Tokenizer

__all__ = ["Encoding", "Item", "TokenIds", "Tokenizer"]
