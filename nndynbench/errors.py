"""The base class of all errors that the package defines: ``except nndynbench.NndynbenchError`` catches any of them."""

from __future__ import annotations


class NndynbenchError(Exception):
    """The base class of every error class of the package. Each is also a built-in one, such as ValueError.

    Examples
    --------
    >>> import nndynbench
    >>> try:
    ...     nndynbench.load("digits-lent")
    ... except nndynbench.NndynbenchError as error:
    ...     print(error)
    unknown subset 'digits-lent'; did you mean 'digits-lenet'? (valid: ...)
    """
