from fleetpulse.catalog.postgres_text import postgres_text
from fleetpulse.catalog.sql_text import NUMBERS_IN


def test_parameters_are_numbered_in_their_order_or_by_their_own_numbers() -> None:
    assert postgres_text("UPDATE t SET a = ?, b = ? WHERE c = ?") == "UPDATE t SET a = $1, b = $2 WHERE c = $3"
    assert postgres_text("SELECT ?2, ?1, ?2") == "SELECT $2, $1, $2"


def test_a_list_is_read_by_the_function_that_postgresql_has_for_it() -> None:
    assert postgres_text(f"? {NUMBERS_IN}").endswith(
        "FROM json_array_elements_text(CAST($2 AS json)) AS listed(value))"
    )
