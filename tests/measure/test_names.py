"""What is known of each metric covers every metric that is measured."""

import pytest

from tailorbird.measure import labels, metrics, numbers
from tailorbird.measure.names import decimals, higher_is_better, is_share, title

MEASURED = {*metrics.METRICS, *labels.metrics(0.5), *numbers.METRICS}


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_every_metric_has_a_title_in_words(name: str) -> None:
    assert ("_" not in title(name) and title(name) != name) or name == "accuracy"


def test_losses_and_errors_are_better_when_lower() -> None:
    lower = {name for name in MEASURED if not higher_is_better(name)}
    assert lower == {"log_loss", "ece", "hamming_loss", "mae", "median_absolute_error", "rmse"}


def test_errors_log_loss_and_explained_variance_are_no_shares() -> None:
    assert {name for name in MEASURED if not is_share(name)} == {
        "log_loss", "mae", "median_absolute_error", "rmse", "r2",
    }  # fmt: skip


def test_a_metric_of_a_later_version_is_shown_by_its_name() -> None:
    assert (title("dice"), higher_is_better("dice"), is_share("dice"), decimals("dice", 0.5)) == (
        "dice",
        True,
        False,
        3,
    )


@pytest.mark.parametrize(
    ("values", "written"),
    [((12345.6, 2.0), "12,346"), ((12.345,), "12.3"), ((1.0,), "1.00"), ((0.01234, 0.001), "0.0123"), ((0.0,), "0")],
)
def test_errors_are_written_with_three_digits_of_the_largest(values: tuple[float, ...], written: str) -> None:
    assert f"{values[0]:,.{decimals('mae', *values)}f}" == written


def test_tiny_and_endless_errors_can_be_written_too() -> None:
    assert decimals("rmse", 1e-12) == 6
    assert decimals("rmse", float("inf")) == 0
