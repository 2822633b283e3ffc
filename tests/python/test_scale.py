"""docs/scale.md has what scale.py computes, its inputs are those of the code, and its model keeps a few laws."""

import copy
import dataclasses
import math

import pytest
from cfnlint.decode import cfn_yaml

import scale
from conftest import ROOT

INPUTS = scale.Inputs.load()
BILLION = scale.Load(1e9, INPUTS.assumed["peak_factor"])


def with_quota(name, factor):
    inputs = copy.deepcopy(INPUTS)
    inputs.quotas[name] *= factor
    return inputs


def test_the_page_has_the_tables_that_are_computed():
    text = scale.PAGE.read_text()
    assert scale.filled(text, INPUTS, BILLION) == text, "run tests/python/scale.py --write"


@pytest.mark.parametrize("name", INPUTS.raw["constants"])
def test_constants_are_those_of_the_code(name):
    constant = INPUTS.raw["constants"][name]
    assert constant["as"].format(constant["value"]) in (ROOT / constant["file"]).read_text()


def test_settings_are_those_of_the_template():
    template = cfn_yaml.load(str(ROOT / "template.yaml"))
    resources, settings = template["Resources"], INPUTS.settings
    assert resources["PredictFromOrders"]["Properties"]["BatchSize"] == settings["batch"]
    assert resources["ForwardFromDecisions"]["Properties"]["BatchSize"] == settings["batch"]
    assert resources["Predict"]["Properties"]["MemorySize"] == settings["predict_memory_mb"]
    assert template["Globals"]["Function"]["MemorySize"] == settings["forward_memory_mb"]
    assert resources["Orders"]["Properties"]["RetentionPeriodHours"] == settings["stream_retention_hours"]
    assert template["Parameters"]["EventRetention"]["Default"] == settings["retention_days"]


@pytest.mark.parametrize("mapping, keys", [("no-keys", 0), ("six-keys", 6)])
def test_the_model_reads_and_writes_what_the_function_did(mapping, keys):
    counts = INPUTS.measured[mapping]["functions"]["counts_of_an_order"]
    items = scale.order_items(INPUTS, keys)
    reads = sum(item.reads for item in items if item.table == "Decisions")
    # Some orders of the measurement came twice, so that a few were not written.
    assert counts["reads Decisions"] == pytest.approx(reads, rel=0.05)
    assert 0.95 <= counts["writes Decisions"] <= 1
    assert counts["writes Events"] == pytest.approx(counts["writes Decisions"] + 4 / INPUTS.settings["batch"], rel=0.01)
    velocity = [item for item in items if item.table == "Velocity"]
    assert sum(item.reads for item in velocity) == pytest.approx(counts.get("reads Velocity", 0))
    assert sum(item.writes for item in velocity) == pytest.approx(counts.get("writes Velocity", 0))


@pytest.mark.parametrize("cost", [
    lambda keys: sum(scale.order_dollars(INPUTS, keys).values()), lambda keys: sum(scale.kept_dollars(INPUTS, keys)),
    lambda keys: scale.predict_seconds(INPUTS, keys, 1024, 100),
])
def test_more_keys_cost_more(cost):
    assert cost(0) < cost(6) <= cost(12)


@pytest.mark.parametrize("orders", [1e6, 1e9])
def test_twice_the_orders_need_at_least_as_much(orders):
    one, two = (scale.Load(count, 3) for count in (orders, 2 * orders))
    assert all(a <= b for a, b in zip(scale.shards(INPUTS, one), scale.shards(INPUTS, two), strict=True))
    (come, kept), (twice, kept_twice) = scale.day_dollars(INPUTS, one), scale.day_dollars(INPUTS, two)
    # The stream's hours cost the same for one order and for many.
    assert all(come[name] < twice[name] <= 2 * come[name] for name in come)
    assert kept_twice == pytest.approx(2 * kept)


@pytest.mark.parametrize("orders, peak", [(86_400, 1), (1e6, 10), (1e9, 3), (1e10, 7)])
def test_shards_take_the_records_and_the_bytes_of_the_peak(orders, peak):
    load = scale.Load(orders, peak)
    count = max(scale.shards(INPUTS, load))
    record = INPUTS.measured["six-keys"]["record"]["bytes"]
    assert count * INPUTS.quotas["shard_records"] >= load.peak
    assert count * INPUTS.quotas["shard_bytes"] >= load.peak * record
    assert (count - 1) * INPUTS.quotas["shard_records"] < load.peak or (count - 1) * INPUTS.quotas["shard_bytes"] < load.peak * record


@pytest.mark.parametrize("memory", [512, 1024])
def test_less_memory_is_slower_and_a_full_processor_is_the_fastest(memory):
    seconds = lambda megabytes: scale.predict_seconds(INPUTS, 6, megabytes, 100)
    assert seconds(memory) > seconds(1769) == seconds(3008)


def test_orders_one_at_a_time_end_no_later_than_full_batches():
    for limit in scale.limits(INPUTS):
        assert limit.single <= limit.full, limit.name


@pytest.mark.parametrize("quota, place", [("table_units", "table `Velocity`"), ("put_events", "`PutEvents`"), ("environments", "environments")])
def test_a_raised_quota_moves_its_limit_and_no_other(quota, place):
    before = {limit.name: limit.full for limit in scale.limits(INPUTS)}
    for limit in scale.limits(with_quota(quota, 2)):
        moved = limit.name.startswith(place) or (quota == "table_units" and limit.name.startswith("table"))
        assert limit.full == pytest.approx(before[limit.name] * (2 if moved else 1)), limit.name


def test_limits_are_in_the_order_in_which_they_end():
    for only_if in (False, True):
        ends = [limit.full for limit in scale.limits(INPUTS) if limit.only_if == only_if]
        assert ends == sorted(ends) and ends


def test_figures_have_no_more_digits_than_their_inputs():
    assert [scale.number(value) for value in (0, 0.1234, 5.678, 12.34, 1234.5, 34722.2)] == ["0", "0.123", "5.68", "12.3", "1,230", "34,700"]


def test_prices_are_written_as_they_are_listed():
    assert [scale.price(dollars) for dollars in (0.2, 0.625, 1, 30000, 0.0000133334)] == ["$0.20", "$0.625", "$1.00", "$30,000.00", "$0.0000133334"]


def test_every_price_and_quota_names_its_page_or_says_that_there_is_none():
    for part in ("prices", "quotas"):
        for name, entry in INPUTS.raw[part].items():
            assert "page" in entry and (entry["page"] is None or "." in entry["page"]), name


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(SystemExit, match="<!-- table measured -->"):
        scale.filled("# Scale\n", INPUTS, BILLION)


def test_the_parts_of_a_load_agree():
    assert dataclasses.replace(BILLION, peak_factor=1).peak == BILLION.mean
    assert math.isclose(BILLION.mean, 11_574, rel_tol=1e-4)
