"""The base class of all errors that the package defines: ``except nndynbench.NndynbenchError`` catches any of them."""

from __future__ import annotations


class NndynbenchError(Exception):
    """What every error class of the package is, beside the built-in one that it is too, such as ValueError.

    Examples
    --------
    >>> import nndynbench
    >>> try:
    ...     nndynbench.load("digits-lent")
    ... except nndynbench.NndynbenchError as error:
    ...     print(error)
    unknown subset 'digits-lent'; did you mean 'digits-lenet'? (valid: ...)
    """
