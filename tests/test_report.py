"""The document of results: what it says of protocols that were compared, and of those that follow from them."""

from __future__ import annotations

import pandas as pd
import pytest

import nndynbench as nb
from nndynbench import report
from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import Reproduction
from nndynbench.protocols import compare, comparison_file, stored

METHODS = ["bar", "constant", "degree-linear", "validation-accuracy"]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, digits: nb.Subset) -> str:
    """Of one subset with one comparison, the paper's part left out; nothing may be fitted for it."""
    results = tmp_path_factory.mktemp("results")
    compared = compare(digits, METHODS, epochs=1, results=results, jobs=1)
    compared.save(comparison_file(results, [digits.name], "regression-folds"))
    claims = pd.DataFrame({"claim": ["of ours", "of another"], "verdict": ["held", "not testable here: vgg not at hand"]})

    def fitted(*arguments: object, **options: object) -> None:
        raise AssertionError("the report fits nothing")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "claims", lambda *_: Reproduction("Claims", claims))
        patch.setattr(tables, "table4", lambda *_: Reproduction("Table", claims))
        patch.setattr(report, "all_at_hand", lambda _: [digits])
        patch.setattr(stored, "evaluate", fitted)
        return report.report(results / "document.md", results).read_text(encoding="utf-8")


def row(document: str, section: str, method: str) -> list[str]:
    [part] = [part for part in document.split("\n## ") if section in part.splitlines()[0]]
    [line] = [line for line in part.splitlines() if line.startswith(f"| `{method}` |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_triage_follows_from_the_stored_predictions_of_regression_folds(document: str, digits: nb.Subset) -> None:
    predictions = nb.evaluate("degree-linear", digits, protocol="regression-folds", epochs=1).predictions
    chosen = predictions.nlargest(5, "prediction")
    regret = predictions["truth"].max() - chosen["truth"].max()
    assert row(document, "`triage`", "degree-linear")[1].startswith(f"{regret:.3f} (")


def test_the_rules_that_fit_nothing_stand_beside_the_methods(document: str, digits: nb.Subset) -> None:
    first = digits.curves.xs(1, level="epoch")["validation_accuracy"]
    accuracies = digits.networks["final_accuracy"].loc[first.index]
    best_after_one = accuracies[first == first.max()]
    regret_of_the_first = float(row(document, "`triage`", "stop-after-one-epoch")[2].split()[0])
    assert min(abs((accuracies.max() - best_after_one) - regret_of_the_first)) < 1e-3
    assert "`successive-halving`, which fits nothing, has a regret of" in document


def test_the_ranking_among_the_trained_is_a_column(document: str, digits: nb.Subset) -> None:
    predictions = nb.evaluate("degree-linear", digits, protocol="regression-folds", epochs=1).predictions
    learned = predictions[predictions["truth"] >= digits.manifest.chance + 5]
    tau = learned[["truth", "prediction"]].corr("kendall").iloc[0, 1]
    assert row(document, "`regression-folds`", "degree-linear")[-2] == f"{tau:.3f}"


def test_what_has_no_number_here_is_counted_not_listed(document: str) -> None:
    assert "| of ours | held |" in document
    assert "of another" not in document
    assert "- 1 more need subsets that are not at hand; `nndynbench reproduce claims` lists them" in document
    assert "- digits-lenet: blocked, classification" in document
