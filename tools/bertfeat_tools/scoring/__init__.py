"""Scores of predictions, ours or other programs': numbers only, no model is loaded here."""
