"""Signatures: from the node values of snapshots to a vector per history (paper, section 3.2, S2 and S3).

The public names are those of ``__init__.pyi``; each is imported when it is first used. Code that only computes signatures of
snapshots, such as the trainer's workers, therefore needs no scikit-learn.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
