"""greenfield: one file declares a microservice platform; the same file runs it for real here and on Kubernetes."""

__version__ = "0.1.0"
