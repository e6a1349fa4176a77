"""Fingerprints of functions: equal for the same code wherever it stands, another after any edit that may change a value."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import nndynbench as nb
from nndynbench.fingerprint import fingerprint, why_no_fingerprint
from nndynbench.protocols.method import find_method

SOURCE = """
from functools import cache
import numpy as np
from numpy.linalg import norm

SCALE = 2.0
NAMES = {"conv1", "fc1"}
FORMS = {"power": lambda t: t**2}

def deepest(values):
    return np.sort(values)

@cache
def lowest():
    return 0.5

def helper(values, *, floor=0.1):
    return [max(value, floor, lowest()) for value in deepest(values)]

def within(limit):
    def own(graph):
        inner = lambda values: norm(values) * SCALE
        return inner(helper(graph.degree())) + limit + len(NAMES) + FORMS["power"](3)
    return own

FUNCTION = within(5)
"""

EDITS = {
    "the function itself": ("+ limit", "- limit"),
    "a function inside it": ("norm(values) *", "norm(values) /"),
    "the function that it calls": ("max(value, floor", "min(value, floor"),
    "what is remembered of a function": ("return 0.5", "return 0.6"),
    "what that one calls": ("np.sort", "np.argsort"),
    "a default": ("floor=0.1", "floor=0.2"),
    "a constant": ("SCALE = 2.0", "SCALE = 2"),
    "a name in a set": ('"fc1"', '"fc2"'),
    "a function in a dictionary": ("t**2", "t**3"),
    "what it is closed over": ("within(5)", "within(6)"),
    "a library's function": ("import norm", "import det as norm"),
}

UNKNOWABLE = {
    "an object of one's own": "class Own:\n    pass\nOWN = Own()\ndef function(graph):\n    return OWN",
    "a module of one's own": "import own\ndef function(graph):\n    return own.value",
    "a module of one's own, imported late": "def function(graph):\n    import own\n    return own.value",
    "an array of objects": "import numpy as np\nTABLE = np.array([print])\ndef function(graph):\n    return TABLE",
    "a large array": "import numpy as np\nTABLE = np.ones(1 << 22)\ndef function(graph):\n    return TABLE",
    "an array of one's own kind": "import numpy as np\nclass Own(np.ndarray):\n    pass\n"
    "TABLE = np.ones(3).view(Own)\ndef function(graph):\n    return TABLE",
    "a long table": "TABLE = list(range(5000))\ndef function(graph):\n    return TABLE",
    "a number of one's own kind": "class Own(float):\n    pass\nNUMBER = Own(1)\ndef function(graph):\n    return NUMBER",
    "a list of one's own kind": "class Own(list):\n    pass\nITEMS = Own()\ndef function(graph):\n    return ITEMS",
    "a part of a function, with an object of one's own": "from functools import partial\nclass Own:\n    pass\n"
    "PART = partial(max, Own())\ndef function(graph):\n    return PART",
    "an attribute of its own": "def function(graph):\n    return function.count\nfunction.count = 1",
}


LOOKING_OUTSIDE = {
    "shared random numbers under another name": "import numpy.random as npr\ndef function(graph):\n    return npr.normal()",
    "torch's shared random numbers": "def function(graph):\n    import torch\n    return torch.randn(3)",
    "a file that is opened": "def function(graph):\n    return float(open('scale.txt').read())",
    "a file that a helper opens": "def text():\n    return open('a').name\ndef function(graph):\n    return text()",
    "a file that is opened under another name": "READ = open\ndef function(graph):\n    return READ('scale.txt')",
    "the text of a path": "from pathlib import Path\ndef function(graph):\n    return float(Path('scale.txt').read_text())",
    "an array from a file": "import numpy as np\ndef function(graph):\n    return np.load('scale.npy')",
    "an array under another name": "from numpy import load as own\ndef function(graph):\n    return own('scale.npy')",
    "a table": "import pandas as pd\ndef function(graph):\n    return pd.read_csv('scale.csv').sum()",
    "weights from a file": "def function(graph):\n    import torch\n    return torch.load('scale.pt')",
    "another subset": "import nndynbench as nb\ndef function(graph):\n    return len(nb.load('digits-lenet'))",
    "the environment": "import os\ndef function(graph):\n    return float(os.environ['SCALE'])",
    "a folder": "def function(graph):\n    from os.path import exists\n    return exists('scale.txt')",
    "the clock": "from time import time\ndef function(graph):\n    return time()",
    "a generator without a seed": "import numpy as np\ndef function(graph):\n    return np.random.default_rng().normal()",
    "a generator without a seed, by its name": "from numpy.random import default_rng\ndef function(graph):\n"
    "    return [default_rng().normal() for _ in (1, 2)]",
    "a generator whose seed is None": "import numpy as np\ndef function(graph):\n"
    "    return np.random.RandomState(None).normal()",
    "a generator whose seed is None by its name": "import numpy as np\ndef function(graph):\n"
    "    return np.random.default_rng(seed=None).normal()",
    "a generator of bits without a seed": "from numpy.random import Generator, PCG64\ndef function(graph):\n"
    "    return Generator(PCG64()).normal()",
    "a generator without a seed, in a helper": "import numpy as np\ndef own():\n    return np.random.default_rng()\n"
    "def function(graph):\n    return own().normal()",
    "the shared random numbers": "import numpy as np\ndef function(graph):\n    return np.random.normal()",
}

LOOKING_NOWHERE = {
    "its own random numbers, under another name": "import numpy.random as npr\ndef function(graph):\n"
    "    return npr.default_rng(0).random()",
    "its own random numbers": "import numpy as np\ndef function(graph):\n    return np.random.default_rng(0).random()",
    "a seed that follows from the graph": "import numpy as np\ndef function(graph):\n"
    "    return np.random.default_rng(len(graph.blocks)).random()",
    "torch's generator, which has a fixed seed": "def function(graph):\n    import torch\n"
    "    return torch.rand(3, generator=torch.Generator())",
    "weights that a module takes": "def function(module):\n    return module.load_state_dict({})",
    "variables with such names": "def function(graph):\n    load, read = 1, 2\n    return load + read",
    "the digits that come with scikit-learn": "from sklearn.datasets import load_digits\ndef function(graph):\n"
    "    return load_digits().images.sum()",
    "a part of a list": "def function(graph):\n    return [1, 2, 3][1:]",
    "what is remembered of a function": "from functools import cache\n@cache\ndef own():\n    return 1\n"
    "def function(graph):\n    return own()",
    "words that only begin so": "def function(graph):\n    return graph.opening + graph.readout + graph.loadings",
}


def function_of(source: str, name: str = "FUNCTION") -> Any:
    namespace: dict[str, Any] = {"__name__": "a_method_file"}
    exec(compile(source, "somewhere.py", "exec"), namespace)
    return namespace[name]


def test_the_same_code_has_the_same_fingerprint_wherever_it_stands() -> None:
    moved = "\n\n# A remark.\n" + SOURCE + "\nUNUSED = 1\n"
    assert fingerprint(function_of(SOURCE)) == fingerprint(function_of(moved)) is not None


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_of_anything_that_it_reaches_gives_another(what: str) -> None:
    before, after = EDITS[what]
    assert SOURCE.count(before) == 1
    assert fingerprint(function_of(SOURCE.replace(before, after))) != fingerprint(function_of(SOURCE))


def test_a_constant_that_is_changed_while_it_runs_gives_another() -> None:
    function = function_of(SOURCE)
    before = fingerprint(function)
    helper = function.__globals__["helper"]
    function.__globals__["SCALE"] = 3.0
    changed = fingerprint(function)
    helper.__globals__["FORMS"]["power"] = lambda t: t**4
    assert len({before, changed, fingerprint(function)}) == 3


def test_numbers_of_other_precision_are_others() -> None:
    source = "import numpy as np\nSCALE = np.{}(0.1)\ndef function(graph):\n    return SCALE"
    kinds = ["float16", "float32", "float64", "longdouble"]
    found = {fingerprint(function_of(source.format(kind), "function")) for kind in kinds}
    assert None not in found
    assert len(found) == len(kinds)


ARRAYS = {
    "a value": "np.array([[1.0, 2.0], [3.0, 5.0]])",
    "the shape": "np.array([1.0, 2.0, 3.0, 4.0])",
    "the precision": "np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)",
}


@pytest.mark.parametrize("what", ARRAYS)
def test_an_array_counts_with_its_values_shape_and_precision(what: str) -> None:
    source = "import numpy as np\nTABLE = {}\ndef function(graph):\n    return TABLE"
    plain = "np.array([[1.0, 2.0], [3.0, 4.0]])"
    first, again, other = (fingerprint(function_of(source.format(x), "function")) for x in (plain, plain, ARRAYS[what]))
    assert None is not first == again != other


@pytest.mark.parametrize("what", UNKNOWABLE)
def test_what_may_change_unseen_has_none(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "own", ModuleType("own"))
    function = function_of(UNKNOWABLE[what], "function")
    assert fingerprint(function) is None
    assert why_no_fingerprint(function)


@pytest.mark.parametrize("what", LOOKING_OUTSIDE)
def test_what_seems_to_look_outside_has_none(what: str) -> None:
    function = function_of(LOOKING_OUTSIDE[what], "function")
    assert fingerprint(function) is None
    assert why_no_fingerprint(function)


@pytest.mark.parametrize("what", LOOKING_NOWHERE)
def test_what_looks_nowhere_else_has_one(what: str) -> None:
    if "import torch" in LOOKING_NOWHERE[what]:
        pytest.importorskip("torch")
    function = function_of(LOOKING_NOWHERE[what], "function")
    assert fingerprint(function) is not None
    assert why_no_fingerprint(function) == ""


def test_it_is_the_same_in_every_process_whatever_libraries_add_to_its_path(tmp_path: Path) -> None:
    (tmp_path / "vendored-1.0.dist-info").mkdir()
    added = f"import sys; sys.path.append({str(tmp_path)!r})"
    command = f"{added}; from tests.test_fingerprint import *; print(fingerprint(function_of(SOURCE)))"
    found = {
        subprocess.run(
            [sys.executable, "-c", command], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{fingerprint(function_of(SOURCE))}\n".encode()}


def test_every_function_of_a_bundled_method_has_one() -> None:
    functions = {}
    for name in nb.methods().index:
        method = find_method(name)
        for estimator in (method.classifier, method.regressor):
            for part in [] if estimator is None else estimator.get_params(deep=True).values():
                if isinstance(part, nb.Columns):
                    functions |= {(name, each.__qualname__): each for each in part.functions}
    assert len(functions) > 20
    assert [where for where, function in functions.items() if fingerprint(function) is None] == []


def test_a_part_of_a_function_is_its_function_and_its_arguments() -> None:
    helper = function_of(SOURCE, "helper")
    other = function_of(SOURCE.replace("max(value, floor", "min(value, floor"), "helper")
    parts = [partial(helper, floor=0.1), partial(helper, floor=0.2), partial(other, floor=0.1), partial(helper)]
    found = [fingerprint(part) for part in parts]
    assert None not in found
    assert len(set(found)) == 4
    assert fingerprint(partial(helper, floor=0.1)) == found[0]
