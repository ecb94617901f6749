# SPDX-License-Identifier: BSD-3-Clause
"""Rows of tools/bench: statistics, JSON, the table."""
import json

import pytest

from benchmark import row


def made(**changes):
    fields = {"case": "dispatch", "metric": "ns_per_message", "unit": "ns", "min": 310.0, "median": 320.5, "max": 900.0,
              "device": "ring", "cpu": "a CPU, 2 CPUs", "note": ""}
    return row.Row(**{**fields, **changes})


@pytest.mark.parametrize("samples, least, median, greatest", [
    ([5], 5, 5, 5), ([3, 1, 2], 1, 2, 3), ([4, 1, 3, 2], 1, 2.5, 4), ([7, 7, 7], 7, 7, 7), ([-1, 1], -1, 0, 1)])
def test_a_row_has_least_median_and_greatest_of_its_samples(samples, least, median, greatest):
    r = row.of_samples("c", "m", "u", iter(samples), "ring", "cpu")
    assert (r.min, r.median, r.max) == (least, median, greatest)


def test_no_samples_are_no_row():
    with pytest.raises(ValueError, match="no samples"):
        row.of_samples("c", "m", "u", [], "ring", "cpu")


def test_json_has_exactly_the_nine_keys_in_order_on_one_line():
    text = made(note='says "so"\n').json()
    assert "\n" not in text
    assert list(json.loads(text)) == ["case", "metric", "unit", "min", "median", "max", "device", "cpu", "note"]


def test_json_comes_back_as_the_same_row():
    r = made(note="µs — \"quoted\"")
    assert row.parse(r.json()) == r


@pytest.mark.parametrize("line", [
    "", "not json", "[]", "{}", made().json().replace("310.0", '"310"'), made().json().replace("310.0", "true"),
    made().json().replace('"ring"', "3"), made().json()[:-1] + ', "more": 1}', made().json().replace('"note": ""', '"nota": ""')])
def test_what_is_no_row_is_refused(line):
    with pytest.raises(ValueError):
        row.parse(line)


def test_a_file_of_rows_is_read_without_its_empty_lines(tmp_path):
    rows = [made(), made(case="response")]
    path = tmp_path / "rows.json"
    path.write_text("\n".join(["", rows[0].json(), "", rows[1].json(), ""]))
    assert row.read(path) == rows


def test_a_metric_is_a_name_and_what_it_was_measured_with():
    assert (made().name, made().variant) == ("ns_per_message", "")
    r = made(metric="ns_per_message/index/avx2")
    assert (r.name, r.variant) == ("ns_per_message", "index/avx2")


@pytest.mark.parametrize("value, text", [
    (3212345.6, "3,212,346"), (310.4, "310"), (31.04, "31.0"), (3.1, "3.10"), (3, "3"), (0.0123, "0.012"), (0, "0"), (-12.34, "-12.3"),
    (float("inf"), "inf"), (float("nan"), "nan")])
def test_numbers_have_the_digits_that_people_read(value, text):
    assert row.number(value) == text


def test_the_table_says_device_and_cpu_once_and_aligns_its_columns():
    lines = row.table([made(), made(metric="messages_per_second", unit="1/s", min=1.0, median=3e6, max=3.2e6, note="a note")])
    assert lines[0] == "device: ring" and lines[1] == "cpu: a CPU, 2 CPUs"
    head, *body = lines[2:]
    assert len(body) == 2
    end = head.index("median") + len("median")
    assert body[0][:end].endswith(" 320") and body[1][:end].endswith(" 3,000,000")
    assert body[1].endswith("a note") and not body[0].endswith(" ")


def test_devices_that_differ_are_all_named():
    assert row.table([made(), made(device="memif")])[0] == "device: memif, ring"


def reference():
    return made(case="parse", metric="reference_ns_per_message/picohttpparser/l1", cpu="another machine", note="from a book")


def test_a_reference_names_its_machine_beside_its_source_and_not_above():
    lines = row.table([made(), reference()])
    assert "another machine" not in "".join(line for line in lines if line.startswith("cpu"))
    assert lines[-1].rstrip().endswith("from a book; another machine")
    assert not made().is_reference and reference().is_reference
