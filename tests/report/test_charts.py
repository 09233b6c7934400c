"""Known coordinates, and text that must not become markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from charter.report.charts import (
    Bin,
    PlanePoint,
    Spread,
    bar,
    histogram,
    interval_strip,
    line_chart,
    plane,
    reliability_plot,
    running_mean,
)
from charter.report.svg import Scale, margin_for, tag, tick_texts, ticks
from charter.statistics import wilson


def _find(svg: str, element: str, style: str) -> list[dict[str, str]]:
    return [e.attrib for e in ET.fromstring(svg).iter(element) if style in e.get("class", "")]


def test_scale_maps_ends_and_middle_and_keeps_inside() -> None:
    scale = Scale(0, 10, 100, 0)
    assert [scale(v) for v in (0, 5, 10, 99, -99)] == [100, 50, 0, 0, 100]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-20, 47, [-20, 0, 20, 40]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.0001, 0.0002], ["0", "1e\u22124", "2e\u22124"]),
        ([-0.00012, 0.0], ["\u22121.2e\u22124", "0"]),
        ([0.0005, 0.001], ["0.0005", "0.001"]),  # one axis, one way of writing
        ([0.692, 0.694], ["0.692", "0.694"]),
    ],
)
def test_labels_of_an_axis_are_written_alike(values: list[float], expected: list[str]) -> None:
    assert tick_texts(values) == expected


def test_longer_labels_move_the_axis_so_that_its_title_stays_free() -> None:
    short, long = (line_chart([(0, 0), (1, high)], "step", "y") for high in (1, 123_456))
    places = [float(_find(svg, "line", "baseline")[0]["x1"]) for svg in (short, long)]
    assert places == pytest.approx([margin_for((0, 1)), margin_for((0, 123_456))], abs=0.01)
    assert places[1] > places[0]


def test_strings_are_escaped_in_text_and_in_attributes() -> None:
    made = tag("text", "<b>&", aria_label='"><script>')
    assert made == '<text aria-label="&#34;&gt;&lt;script&gt;">&lt;b&gt;&amp;</text>'


def test_interval_strip_places_point_whisker_and_reference() -> None:
    svg = interval_strip(Spread(0.5, 0.25, 0.75), (0, 1), style="m", reference=0.0)
    (point,) = _find(svg, "circle", "point")
    (whisker,) = _find(svg, "line", "whisker")
    (reference,) = _find(svg, "line", "reference")
    # The track runs from 4 to 116.
    assert (point["cx"], whisker["x1"], whisker["x2"], reference["x1"]) == ("60", "32", "88", "4")


def test_bar_is_a_share_of_the_largest() -> None:
    assert [_find(bar(v, 8), "rect", "bar")[0]["width"] for v in (0, 2, 8)] == ["0", "30", "120"]
    assert _find(bar(0, 0), "rect", "bar")[0]["width"] == "0"


def test_plane_puts_the_better_model_up_and_right_with_both_bars() -> None:
    base = PlanePoint("Base", "m-base", Spread(0, 0, 0), Spread(0, 0, 0))
    better = PlanePoint("<RL>", "m-rl_cai", Spread(30, 10, 50), Spread(200, 150, 250))
    svg = plane([base, better], "x", "y")
    first, second = _find(svg, "circle", "point")
    assert float(second["cx"]) > float(first["cx"])
    assert float(second["cy"]) < float(first["cy"])
    assert len(_find(svg, "line", "whisker m-rl_cai")) == 2
    assert "&lt;RL&gt;" in svg


def test_labels_of_close_points_do_not_overlap() -> None:
    points = [
        PlanePoint(name, name, Spread(x, x - 40, x + 40), Spread(0, -40, 40))
        for name, x in [("alpha", 0.0), ("beta", 1.0), ("gamma", 2.0)]
    ]
    spots = {(e["x"], e["y"]) for e in _find(plane(points, "x", "y"), "text", "label")}
    assert len(spots) == 3


def test_line_chart_draws_each_point_of_a_short_curve_and_smooths_a_long_one() -> None:
    short = line_chart([(i, i * i) for i in range(10)], "step", "loss")
    assert len(_find(short, "circle", "dot")) == 10
    assert len(_find(short, "polyline", "curve")) == 1
    long = line_chart([(i, i % 2) for i in range(100)], "step", "loss")
    assert len(_find(long, "polyline", "curve")) == 2


def test_line_chart_leaves_out_what_is_not_finite() -> None:
    svg = line_chart([(0, 1), (1, float("nan")), (2, float("inf")), (3, 2)], "step", "loss")
    (curve,) = _find(svg, "polyline", "curve")
    assert len(curve["points"].split()) == 2
    assert "nan" not in svg
    assert line_chart([(0, float("nan"))], "step", "loss") == ""


def test_running_mean_of_a_line_is_the_line_inside() -> None:
    smooth = running_mean([(i, 2.0 * i) for i in range(100)])
    assert smooth[50] == (50, pytest.approx(100.0))
    assert len(smooth) == 100


def test_a_calibrated_bin_stands_on_the_diagonal() -> None:
    svg = reliability_plot([Bin(0.75, wilson(75, 100))], "said", "was")
    (diagonal,) = _find(svg, "line", "diagonal")
    (point,) = _find(svg, "circle", "point")
    assert float(point["cx"]) == pytest.approx((float(diagonal["x1"]) + float(diagonal["x2"])) / 2)
    assert float(point["cy"]) == pytest.approx((float(diagonal["y1"]) + float(diagonal["y2"])) / 2)
    assert reliability_plot([], "said", "was") == ""


def test_histogram_columns_are_as_high_as_their_counts() -> None:
    bars = _find(histogram([1, 2, 4], 0, 1, "p"), "rect", "bar")
    heights = [float(b["height"]) for b in bars]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.05)
    assert heights[2] == pytest.approx(4 * heights[0], abs=0.05)
    assert histogram([0, 0], 0, 1, "p") == ""


def test_charts_say_what_they_show_to_screen_readers() -> None:
    svg = histogram([3], 0, 1, "p & q")
    assert re.search(r'role="img" aria-label="p &amp; q: 3 in 1 bins"', svg)
