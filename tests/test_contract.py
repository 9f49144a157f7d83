"""The landing contract and the page that tells adopters of it."""

from __future__ import annotations

from early_warning.contract import DATA_SETS, as_markdown
from early_warning.settings import PROJECT


def test_contract_page_is_what_the_contract_says() -> None:
    page = (PROJECT / "docs" / "landing-contract.md").read_text(encoding="utf-8")
    assert page == as_markdown(), "python -m early_warning.contract > docs/landing-contract.md"


def test_every_data_set_of_customers_leads_with_the_customer() -> None:
    for data_set in DATA_SETS.values():
        names = [column.name for column in data_set.columns]
        if "customer_id" in names:
            assert names[0] == data_set.storage_key[0] == "customer_id", data_set.name
        assert data_set.key, data_set.name
