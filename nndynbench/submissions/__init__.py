"""Submissions to the leaderboard: one JSON file per method, subset and protocol, whose scores anyone can compute again."""

from nndynbench.submissions.beside import beside_bar
from nndynbench.submissions.files import RefusedError, read_submission, submission_path, write_submission
from nndynbench.submissions.making import submissions_of
from nndynbench.submissions.recomputation import TOLERANCE, accepted_predictions, predictions_with_truths
from nndynbench.submissions.schema import Submission, SubmissionFacts, SubsetReference, json_schema

__all__ = [
    "TOLERANCE",
    "RefusedError",
    "Submission",
    "SubmissionFacts",
    "SubsetReference",
    "accepted_predictions",
    "beside_bar",
    "json_schema",
    "predictions_with_truths",
    "read_submission",
    "submission_path",
    "submissions_of",
    "write_submission",
]
