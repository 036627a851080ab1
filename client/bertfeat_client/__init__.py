"""The light client of the bertfeat server; needs NumPy and pyzmq, nothing else.

from bertfeat_client import Client
with Client("tcp://127.0.0.1:5557") as client:
    vectors = client.encode(["first text", "second text"])      # float32 (2, dim)
"""

from bertfeat_client.client import AsyncClient, Client
from bertfeat_client.curve import Curve
from bertfeat_client.errors import ClientError, RowErrors, TruncationWarning
from bertfeat_client.items import TokenIds
from bertfeat_client.results import (
    EncodeInfo,
    Entity,
    Hit,
    Prediction,
    Ranked,
    Ranking,
    TokenFeatures,
)

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Curve",
    "EncodeInfo",
    "Entity",
    "Hit",
    "Prediction",
    "Ranked",
    "Ranking",
    "RowErrors",
    "TokenFeatures",
    "TokenIds",
    "TruncationWarning",
]
