"""bert-as-service's wire protocol, so that its clients work unchanged."""
