"""The FAISS index and the document store beside it: text in, neighbours out.

Exact (flat) search over one folder on disk.  Documents, vectors and ids live in SQLite; the FAISS
index is derived from it.  No approximate index and no filters.
"""

from bertfeat.extras import require

require("bertfeat.index", "faiss", "filelock")

from bertfeat.index.documents import Document, Hit, SearchResult  # noqa: E402
from bertfeat.index.vector_index import VectorIndex  # noqa: E402

__all__ = ["Document", "Hit", "SearchResult", "VectorIndex"]
