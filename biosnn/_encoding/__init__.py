"""The encoders and decoders of ``biosnn.encoding``."""
