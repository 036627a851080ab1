"""The server: encoders behind ZeroMQ for many callers at once (``bertfeat-serve start``).

Five nouns: the protocol (in ``bertfeat_client``), the broker, the scheduler, the worker and the
supervisor.  A file with sockets takes no decisions; a file with decisions holds no sockets.
"""
