"""Features on disk: one file for each format, and what makes a file appear whole or not at all."""
