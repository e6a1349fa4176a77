"""What a submission holds, field by field; exported as JSON Schema.

Every text is one printable line, and every number is finite, so a page can show the texts and compute with the numbers.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field

from nndynbench.arrays import LARGEST_NUMBER
from nndynbench.names import DEVICES

METHOD_PATTERN = r"^[a-z0-9]+([-_][a-z0-9]+)*$"
# An address that every browser reads alike. Names have single hyphens only (browsers decode or refuse xn-- names), the last
# name has letters only (a number is taken for an IPv4 address), and "%" comes only before two hexadecimal digits.
CODE_PATTERN = (
    r"^(https://([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]+(/([A-Za-z0-9._~+@/-]|%[0-9A-Fa-f]{2})*)?|baselines/[a-z0-9_]+\.py)$"
)


# What Unicode calls letters, marks or symbols, and nobody sees: with these, two names look the same.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159") | {
    chr(code) for first, last in ((0x180B, 0x180D), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for code in range(first, last + 1)
}
STACKED_MARKS = 5 * "M"


def _one_line(text: str) -> str:
    # isprintable also refuses characters that turn the direction of the text around them, and halves of characters.
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    if text != text.strip() or not text:
        raise ValueError("must not be empty, or begin or end with white space")
    if not INVISIBLE.isdisjoint(text):
        raise ValueError("must have no letter that nobody sees")
    if not any(unicodedata.category(letter)[0] in "LN" for letter in text):
        raise ValueError("must have a letter or a digit")
    if STACKED_MARKS in "".join(unicodedata.category(letter)[0] for letter in text):
        raise ValueError("must not have five marks on one letter, which would cover other lines")
    return text


def _expression(text: str) -> str:
    """The licence in SPDX's own spelling."""
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression as error:
        raise ValueError(f"must be an SPDX expression such as Apache-2.0 or MIT: {error}") from error


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("contains the same value twice")
    return values


def _free(name: str) -> str:
    if name == "index":
        raise ValueError("must be another name: the page that lists all methods uses this one")
    if DEVICES.fullmatch(name):
        raise ValueError("must be another name: Windows treats this one as a device")
    return name


Line = Annotated[str, Field(max_length=300), AfterValidator(_one_line)]
Name = Annotated[str, Field(max_length=100), AfterValidator(_one_line)]
Word = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
MethodName = Annotated[str, Field(max_length=64, pattern=METHOD_PATTERN), AfterValidator(_free)]
Readable = Literal["weights", "curves", "hyperparameters"]
Budget = Annotated[int, Field(ge=1, le=10_000)]
Number = Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Id = Annotated[int, Field(ge=0, le=10_000_000)]


# Submissions from before version 1.0 have the second name.
BUDGET_NAMES = AliasChoices("budget", "epochs")


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SubsetReference(_Facts):
    """A version of a subset, with the SHA-256 over the checksums of its tables and splits."""

    name: Word
    version: Word
    checksum: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ClaimedScore(_Facts):
    """A score as the submitter computed it; ``value`` is null if the metric is not defined."""

    budget: Annotated[Budget, Field(validation_alias=BUDGET_NAMES)]
    metric: Word
    value: Number | None
    trained_on: Word | None = None


class Predictions(_Facts):
    """A table by columns of equal length, with a row per budget, fold and test network.

    ``draw``, if there are several draws of the folds, counts from 0 at each budget, and leaves none out. ``prediction`` is 0
    or 1, or percent; ``score`` is a classifier's score for "high"; ``trained_on`` is the other subset, on transfer.
    """

    budget: Annotated[list[Budget], Field(fail_fast=True, validation_alias=BUDGET_NAMES)]
    draw: Annotated[list[Id], Field(fail_fast=True)] | None = None
    fold: Annotated[list[Id], Field(fail_fast=True)]
    network: Annotated[list[Id], Field(fail_fast=True)]
    prediction: Annotated[list[Number], Field(fail_fast=True)]
    score: Annotated[list[Number], Field(fail_fast=True)] | None = None
    trained_on: Annotated[list[Word], Field(fail_fast=True)] | None = None

    def columns(self) -> dict[str, list[Any]]:
        """The columns that are there."""
        return {name: values for name in type(self).model_fields if (values := getattr(self, name)) is not None}


class SubmissionFacts(_Facts):
    """Everything that a submission says, except its predictions."""

    format: Literal[1] = 1
    method: MethodName
    description: Line
    source: Line | None = None
    authors: Annotated[list[Name], Field(min_length=1, max_length=50)]
    licence: Annotated[str, Field(max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9 .+()-]*$"), AfterValidator(_expression)]
    """An SPDX expression, such as Apache-2.0."""
    code: Annotated[str, Field(max_length=300, pattern=CODE_PATTERN)]
    """An https address, or the path of a bundled method's file."""
    commit: Annotated[str, Field(pattern="^[0-9a-f]{7,64}$")]
    reads: Annotated[list[Readable], Field(validation_alias=AliasChoices("reads", "tier")), AfterValidator(_distinct)]
    """What the method looked at; ``tier`` in submissions from before version 1.0."""
    protocol: Word
    budgets: Annotated[list[Budget], Field(min_length=1, max_length=200), AfterValidator(_distinct)]
    subset: SubsetReference
    trained_on: Annotated[list[SubsetReference], Field(max_length=50)] = []
    """On transfer: the subsets that were trained on, where ``subset`` is the tested one."""
    libraries: Annotated[dict[Word, Word], Field(max_length=50)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**64)]], Field(max_length=1000)]
    order_seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    """Seed of the order in which networks were handed over; submissions without one have the order from before seeds."""
    sealed: bool | None = None
    """Whether every fit ran in a process of its own, without the subset; None if submitted before that was possible."""
    seconds: Annotated[float, Field(ge=0, le=1e9)]
    scores: Annotated[list[ClaimedScore], Field(max_length=20_000, fail_fast=True)]


class Submission(SubmissionFacts):
    """One method on one subset under one protocol, at one or more budgets."""

    predictions: Predictions

    @property
    def facts(self) -> SubmissionFacts:
        """The submission without its predictions."""
        return SubmissionFacts.model_construct(**{name: getattr(self, name) for name in SubmissionFacts.model_fields})


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a submission."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Submission.model_json_schema()}
