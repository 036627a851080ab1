"""The FAISS index and the document store beside it: text in, neighbours out.

Exact (flat) search over one folder on disk.  Documents, vectors and ids live in SQLite; the FAISS
index is derived from it.  No approximate index and no filters.
"""

from bertfeat.index.documents import Document, Hit, SearchResult
from bertfeat.index.vector_index import VectorIndex

__all__ = ["Document", "Hit", "SearchResult", "VectorIndex"]
