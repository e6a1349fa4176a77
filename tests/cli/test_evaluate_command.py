"""The command line as a newcomer types it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import matplotlib.image
import pytest
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.cli.evaluation import compare_command, said_of_citing, said_of_intervals, said_of_other_protocols
from nndynbench.protocols import find_method
from nndynbench.protocols.protocol import find_protocol, read_budgets
from nndynbench.protocols.result_facts import SubsetVersion
from nndynbench.submissions import accepted_predictions, read_submission

runner = CliRunner(env={"COLUMNS": "160"})

MEAN = (
    "import nndynbench as nb\n"
    "from sklearn.dummy import DummyRegressor\n"
    "METHODS = {'mean': nb.Method(description='mean', source='', reads=set(), regressor=DummyRegressor())}\n"
)


def test_evaluate_prints_the_table_and_saves_result_and_plot(tmp_path: Path) -> None:
    command = ["evaluate", "degree-svm", "--subset", "digits-lenet", "--budgets", "1-3", "--out", str(tmp_path)]
    printed = runner.invoke(app, command, catch_exceptions=False).stdout
    result = json.loads((tmp_path / "degree-svm.digits-lenet.classification.json").read_text())
    first = next(row for row in result["scores"] if row["metric"] == "accuracy")
    assert f"{first['value']:.3f}" in printed
    assert f"({first['low']:.2f} to {first['high']:.2f})" in printed
    assert "full regime" in printed
    stated = f"cite: digits-lenet 1.0.0 with nndynbench {nb.__version__}, protocol classification, 1 draw"
    assert printed.splitlines()[-1] == f"{stated} (nndynbench cite digits-lenet)"
    plot = matplotlib.image.imread(tmp_path / "degree-svm.digits-lenet.classification.png")
    assert plot.shape[0] > 300
    assert plot.std() > 0


def test_a_method_file_is_scored_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MEAN)
    command = [
        "evaluate",
        str(file),
        "--subset",
        "digits-lenet",
        "--budgets",
        "5",
        "--out",
        str(tmp_path),
        "--protocol",
        "regression",
    ]
    printed = runner.invoke(app, command, catch_exceptions=False).stdout
    assert "mean on digits-lenet" in printed
    assert "predictions are equal" in " ".join(printed.replace("│", " ").split())


@pytest.mark.parametrize("own_zoo", [False, True])
def test_a_method_file_is_followed_by_the_command_that_submits_its_result(
    own_zoo: bool, tmp_path: Path, digits: nb.Subset
) -> None:
    (tmp_path / "mine.py").write_text(MEAN)
    command = ["evaluate", str(tmp_path / "mine.py"), "--subset", "digits-lenet", "--budgets", "5", "--out", str(tmp_path)]
    root = ["--root", str(digits.folder.parents[1])] if own_zoo else []
    printed = runner.invoke(app, [*command, *root], catch_exceptions=False).stdout
    path = tmp_path / "mean.digits-lenet.regression-folds.json"
    submit = f"nndynbench submit {path} --author NAME --code https://ADDRESS --commit COMMIT --licence LICENCE\n"
    assert (submit in printed) == (not own_zoo)


def test_predictions_that_another_protocol_scores_are_submitted_under_their_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MEAN)
    where = ["--subset", "digits-lenet", "--budgets", "5", "--out", str(tmp_path)]
    evaluate = ["evaluate", str(tmp_path / "mine.py"), *where, "--protocol", "triage"]
    printed = runner.invoke(app, evaluate, catch_exceptions=False).stdout
    said = "next, a row on the leaderboard, under regression-folds, whose predictions triage scores: nndynbench "
    [command] = [line.removeprefix(said) for line in printed.splitlines() if line.startswith(said)]
    about = {"NAME": "Ada", "https://ADDRESS": "https://example.org/ada", "COMMIT": "1234567", "LICENCE": "MIT"}
    submit = [about.get(word, word) for word in shlex.split(command)]
    runner.invoke(app, [*submit, "--to", str(tmp_path / "board")], catch_exceptions=False)
    [written] = (tmp_path / "board").rglob("*.json")
    assert written == tmp_path / "board" / "mean" / "digits-lenet.regression-folds.json"
    submission = read_submission(written)
    assert (submission.protocol, submission.budgets) == ("regression-folds", [5])
    accepted_predictions(submission)


def test_where_the_board_has_the_bar_is_said_if_it_has_none_under_the_protocol(tmp_path: Path) -> None:
    said = said_of_other_protocols(["digits-lenet-seeds"], find_protocol("regression-folds"))
    assert said == " under regression-folds (digits-lenet-seeds has it under seeds)"
    assert said_of_other_protocols(["digits-lenet-seeds"], find_protocol("seeds-on-plateau")) == ""
    assert said_of_other_protocols(["mine"], find_protocol("regression-folds")) == ""
    evaluate = ["evaluate", "constant", "--subset", "cifar10-lenet-seeds", "--protocol", "regression-folds"]
    printed = runner.invoke(app, [*evaluate, "--budgets", "1", "--out", str(tmp_path)], catch_exceptions=False).stdout
    assert (
        "no bar is stored at budget 1 under regression-folds (cifar10-lenet-seeds has it under seeds); to fit it, run: "
    ) in " ".join(printed.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", [5]), ("1-3", [1, 2, 3]), ("1,3,5", [1, 3, 5]), ("1-2,10", [1, 2, 10]), ("3,1-3", [3, 1, 2])],
)
def test_budgets_are_written_as_numbers_ranges_and_lists(text: str, expected: list[int]) -> None:
    assert read_budgets(text) == expected


@pytest.mark.parametrize("text", ["five", "", "1-", "-3", "1;2"])
def test_anything_else_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="budgets must be written as 5, 1-10, or 1,3,5, not "):
        read_budgets(text)


def test_a_range_goes_up() -> None:
    with pytest.raises(ValueError, match="'5-1' is an empty range: write 1-5"):
        read_budgets("5-1")


def test_transfer_is_a_table_and_a_curve_for_each_subset_that_was_trained_on(tmp_path: Path) -> None:
    subsets = [f"--subset=digits-lenet{width}" for width in ("", "-half", "-double")]
    command = ["evaluate", "degree-linear", "--protocol=transfer", *subsets, "--budgets=1,2", f"--out={tmp_path}"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    printed = " ".join(result.output.split())
    assert "degree-linear on digits-lenet (full regime), trained on digits-lenet-half, transfer" in printed
    assert printed.count("trained on") == 6


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["info", "digit-lenet"], "error: unknown subset 'digit-lenet'; did you mean 'digits-lenet'?"),
        (
            ["evaluate", "degree-svm", "--subset", "digits-lenet", "--budgets", "99"],
            "error: 99 is not a budget of digits-lenet",
        ),
        (["evaluate", "degree-svm", "--subset", "digits-lenet", "--protocol", "x"], "error: unknown protocol 'x'"),
    ],
)
def test_a_bad_value_gives_one_line_and_exit_status_2(
    command: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nndynbench.cli import main

    monkeypatch.setattr("sys.argv", ["nndynbench", *command])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("draws", "protocol", "said"),
    [
        (
            1,
            "regression-folds",
            "from resampling whole learning rates (or configurations); values, also the bar's, use one draw",
        ),
        (
            5,
            "seeds",
            "each value, the mean over 5 draws of the folds, is followed by its 95% interval, from resampling whole recipes",
        ),
        (
            1,
            "blocked",
            "each value is followed by its 95% interval, from resampling whole blocks of learning rates (or optimisers)",
        ),
    ],
)
def test_evaluate_says_what_its_values_are_means_over(draws: int, protocol: str, said: str) -> None:
    assert said in said_of_intervals(draws, find_protocol(protocol))
    assert ("--draws" in said_of_intervals(draws, find_protocol(protocol))) == ("also the bar's" in said)
    assert ("the bar's values use the same draws" in said_of_intervals(draws, find_protocol(protocol))) == (draws > 1)


def test_a_pack_of_ones_own_is_cited_by_name_and_version_beside_the_package() -> None:
    own = SubsetVersion(name="mine", version="1.2.0", checksum="0" * 64)
    other = SubsetVersion(name="digits-lenet", version="1.0.0", checksum="0" * 64)
    said = said_of_citing([own], find_protocol("seeds"), 5)
    assert said == f"cite: mine 1.2.0 with nndynbench {nb.__version__}, protocol seeds, 5 draws (nndynbench cite)"
    assert "mine 1.2.0 and digits-lenet 1.0.0 with" in said_of_citing([own, other], find_protocol("seeds"), 5)


def test_a_pack_without_a_stored_bar_is_compared_by_the_command_that_is_named() -> None:
    command = compare_command("my method.py", ["mine"], find_protocol("classification"), [1, 3], "zoo")
    assert command == (
        "nndynbench compare --method 'my method.py' --subset mine --root zoo --protocol classification --budgets \"1,3\""
    )


def test_values_that_were_chosen_on_digits_lenet_are_named_where_they_are_used(tmp_path: Path) -> None:
    def said(subset: str) -> str:
        asked = ["evaluate", "degree-rbf-svm", "--subset", subset, "--budgets", "1", "--out", str(tmp_path)]
        done = CliRunner().invoke(app, asked, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    chosen = find_method("degree-rbf-svm").chosen["classification"]["svc__C"]
    assert f"free parameters, chosen once on digits-lenet: svc__C={chosen!r}" in said("digits-lenet-half")
    assert "free parameters" not in said("digits-lenet")  # chosen anew in every fold
