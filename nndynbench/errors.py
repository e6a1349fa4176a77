"""The base class of all errors that the package defines: ``except nndynbench.NndynbenchError`` catches any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


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


def first_problem(invalid: ValidationError) -> str:
    """What is wrong first with a file's content, in one line: "epochs.0.train_loss: Field required"."""
    problem = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem['msg']}" if where else problem["msg"]
