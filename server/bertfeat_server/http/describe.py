"""``python -m bertfeat_server.http.describe`` writes the OpenAPI document to stdout."""

import sys

import orjson

from bertfeat_server.http import openapi
from bertfeat_server.http.table import ROUTES


def main() -> None:
    """Write the document, set out for reading."""
    document = openapi.document(ROUTES)
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
