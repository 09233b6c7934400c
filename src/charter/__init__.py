"""Constitutional AI from one written document: aligned model, labels, preference model and audit.

This package re-exports nothing but its version: import the module that owns the noun you need,
so that a light command never pays for torch.
"""

__version__ = "0.1.0"
