"""The BERT architecture in Keras 3.

``bertfeat.engine.backend.load_keras`` loads Keras without its chatter; call it before the modules
in here are imported.
"""
