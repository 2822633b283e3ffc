"""PutOutcome, GetOutcomes, DeleteOutcome."""

import pytest

from .named import Named


class TestOutcomes(Named):
    put, get, delete = "put_outcome", "get_outcomes", "delete_outcome"
    rows, kind, least = "outcomes", "outcome", 50

    def test_an_outcome_of_a_rule_version_stays(self, afd, shop):
        rule = shop.rule("r", "$amount > 1", "approve")
        newer = afd.update_rule_version(
            rule=rule, expression=shop.text("$amount > 2"), language="DETECTORPL", outcomes=[shop.outcome("block")]
        )["rule"]
        for version, outcome in [(rule, "approve"), (newer, "block")]:
            with pytest.raises(afd.exceptions.ConflictException, match=shop.v(outcome)):
                afd.delete_outcome(name=shop.v(outcome))
            afd.delete_rule(rule=version)
            afd.delete_outcome(name=shop.v(outcome))
