"""`verify`: what a run wrote is what its batches and its policy give, or else it says whose figures are others."""

from __future__ import annotations

import pytest

from homes import Home

APART = "select nspname from pg_namespace where nspname like 'verify%'"


@pytest.mark.slow
def test_run_is_confirmed_until_somebody_changes_a_figure(home: Home) -> None:
    later = home.run("--as-of", "2026-07-01")  # what came since must not count for the first day
    assert later.code == 0, later.stderr
    confirmed = home.command("verify", "1")
    assert (confirmed.code, "run 1 is confirmed: 1" in confirmed.stdout) == (0, True), confirmed.stderr

    home.rows("update marts.fct_customer_levels set raw_level = 1 where run_id = 1 and raw_level = 3 returning 1")
    home.rows(
        "update marts.fct_customer_indicators set measured_values[1] = 123.456 where run_id = 1 and customer_id ="
        " (select min(customer_id) from marts.fct_customer_levels where raw_level = 2 and run_id = 1) returning 1"
    )
    differing = home.command("verify", "1")
    assert differing.code == 4
    assert "run 1 is not confirmed" in differing.stdout
    assert "raw level 1, now 3" in differing.stdout
    assert "the same raw level by other figures" in differing.stdout
    assert home.rows(APART) == []
    assert home.command("verify", "2").code == 0


@pytest.mark.slow
def test_run_that_is_not_there_is_refused(first_day: Home) -> None:
    refused = first_day.command("verify", "99")
    assert (refused.code, "there is no run 99" in refused.stderr) == (2, True)
