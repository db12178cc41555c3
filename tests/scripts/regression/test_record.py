"""The form of a record: samples by session, and what its JSON is, field by field."""

from __future__ import annotations

from dataclasses import fields

import pytest
from regression.record import SCHEMA, Identity, NotMeasured, Record, Samples, Side

from sambert_trt.engines.errors import SambertError


def test_all_values_stand_in_the_order_of_the_sessions() -> None:
    assert Samples(((3.0, 1.0), (), (2.0,))).all == (3.0, 1.0, 2.0)
    assert Samples(()).all == ()


def test_a_suite_that_cannot_measure_is_no_fault_of_the_machine() -> None:
    with pytest.raises(SambertError, match="no card"):
        raise NotMeasured("no card")


def test_the_schema_names_these_fields() -> None:
    """One that is lost or renamed needs another schema number, one that is new a default."""
    names = {
        kind: [item.name for item in fields(kind)] for kind in (Record, Side, Identity, Samples)
    }
    assert (SCHEMA, names) == (
        1,
        {
            Record: [
                *("started", "command", "machine", "machine_after", "candidate", "base"),
                *("outcomes", "second_look", "settings", "schema"),
            ],
            Side: ["label", "revision", "changed", "identity", "values", "notes", "methods"],
            Identity: ["voice", "weights", "precision", "backend", "threads"],
            Samples: ["sessions"],
        },
    )
