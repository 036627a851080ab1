"""The options of a server in groups, each field stated once: default, meaning and limits."""
