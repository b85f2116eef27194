"""GPU builds: code generation through brian2cuda and compilation. Its face is ``biosnn.gpu``."""
