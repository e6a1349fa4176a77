"""Protocols (what is predicted, from what, on which split), the harness that runs a method under one, and its scores."""

from nndynbench.protocols.checking import Check, check_method
from nndynbench.protocols.comparison import Comparison, comparison_file
from nndynbench.protocols.harness import evaluate, rescore
from nndynbench.protocols.method import Method, MethodError, find_method, method_names, methods
from nndynbench.protocols.protocol import Protocol, find_protocol, protocols
from nndynbench.protocols.result_facts import ResultFacts, SubsetVersion
from nndynbench.protocols.results import Result, read_result
from nndynbench.protocols.sample_efficiency import sample_efficiency
from nndynbench.protocols.tuning import choose

__all__ = [
    "Check",
    "Comparison",
    "Method",
    "MethodError",
    "Protocol",
    "Result",
    "ResultFacts",
    "SubsetVersion",
    "check_method",
    "choose",
    "comparison_file",
    "evaluate",
    "find_method",
    "find_protocol",
    "method_names",
    "methods",
    "protocols",
    "read_result",
    "rescore",
    "sample_efficiency",
]
