"""The server's HTTP side: a process of its own that asks the broker as any client does."""
