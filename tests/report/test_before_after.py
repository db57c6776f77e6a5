"""Two runs on the same images: figures worked out by hand, and how they are told."""

import math

from mstl.report.before_after import BeforeAfter, ClassChange

LABELS = ["ant"] * 6 + ["bee"] * 4
BEFORE = ["ant", "ant", "bee", "bee", "bee", "bee"] + ["bee", "bee", "bee", "ant"]
AFTER = ["ant", "bee", "ant", "ant", "ant", "ant"] + ["bee", "bee", "bee", "wasp"]


def compared():
    return BeforeAfter.of(LABELS, 2, ("runs/a", "runs/a-2"), (1200, 1190), (BEFORE, AFTER))


def test_the_figures_are_those_worked_out_by_hand():
    result = compared()
    assert (result.before.correct, result.after.correct, result.images) == (5, 8, 10)
    assert (result.only_before, result.only_after) == (1, 4)
    assert math.isclose(result.p, 2 * (math.comb(5, 0) + math.comb(5, 1)) / 2**5)  # two-sided, of five differences
    assert [round(bound, 3) for bound in result.after.interval] == [0.490, 0.943]  # Wilson's of 8 in 10
    assert result.classes == (ClassChange("ant", 6, 2, 5),)
    same = BeforeAfter.of(LABELS, 0, ("a", "b"), (1, 1), (BEFORE, BEFORE))
    assert same.p == 1 and same.classes == ()


def test_it_is_told_in_two_columns():
    assert compared().lines() == [
        "                 before          after",
        "run              runs/a          runs/a-2",
        "training images  1,200           1,190",
        "right of 10      5 (50.0%)       8 (80.0%)",
        "95% interval     23.7% to 76.3%  49.0% to 94.3%",
        "ant              2 of 6          5 of 6",
        "only before right on 1, only after on 4: p = 0.375 (McNemar's exact test)",
        "both judged by the labels as they are now: 2 of these 10 were corrected",
    ]
