"""Edits of items, what differs, and merging a draft: case tables, and properties over random documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.core.program.diff import apply_changes, conflicts, diff
from troth.core.program.edit import (
    Decision,
    Edit,
    Exists,
    Invalid,
    Live,
    Missing,
    Publication,
    Stale,
    Unchanged,
    create_item,
    decide,
    delete_item,
    merge_draft,
    patch_item,
    replace_document,
    replace_item,
    replace_tiers_frame,
    within_item,
)
from troth.core.program.items import Document, items_of, merge_patch

NOTHING = Live(number=0, document={}, item_revisions={})


def rule(item_id: str, award: str = "1", **fields: object) -> dict[str, object]:
    return {"id": item_id, "event_type": "opt_in", "award": award, **fields}


def reward(item_id: str, cost: int = 5, **fields: object) -> dict[str, object]:
    return {"id": item_id, "cost": cost, **fields}


def level(item_id: str, threshold: int) -> dict[str, object]:
    return {"id": item_id, "from": threshold}


def published(document: Document) -> Live:
    return step(NOTHING, replace_document(document))


def step(live: Live, edit: Edit) -> Live:
    decision = decide(live, edit)
    assert isinstance(decision, Publication), decision
    return Live(number=decision.number, document=decision.document, item_revisions=decision.item_revisions)


BASE: Document = {
    "settings": {"name": "Shop"},
    "rules": [rule("a"), rule("b"), rule("c")],
    "tiers": {"downgrade": "never", "levels": [level("low", 0), level("high", 100)]},
    "rewards": [reward("cup"), reward("mug", tiers=["high"], wallet="points")],
}
LIVE = published(BASE)

EDITS = [  # edit, what changes
    (create_item("rules", rule("d")), [("rules/d", "added")]),
    (create_item("event_types", {"id": "t"}), [("event_types/t", "added")]),
    (replace_item("rules", rule("b", "2")), [("rules/b", "changed")]),
    (replace_item("rules", rule("new")), [("rules/new", "added")]),
    (patch_item("rules", "b", {"award": "2", "label": None}), [("rules/b", "changed")]),
    (delete_item("rules", "a"), [("rules/a", "removed")]),
    (create_item("tiers", level("middle", 50)), [("tiers/middle", "added")]),
    (replace_tiers_frame({"basis": {"wallet": "points"}}), [("tiers", "changed")]),
    (replace_tiers_frame({"basis": {"wallet": "points"}}, merge=True), [("tiers", "changed")]),
    (create_item("rewards", reward("bag")), [("rewards/bag", "added")]),
    (replace_item("rewards", reward("cup", 6)), [("rewards/cup", "changed")]),
    (patch_item("rewards", "mug", {"stock": 9, "tiers": None}), [("rewards/mug", "changed")]),
    (delete_item("rewards", "mug"), [("rewards/mug", "removed")]),
    (
        replace_document({**BASE, "rewards": [reward("mug", tiers=["high"], wallet="points"), reward("cup")]}),
        [("rewards", "reordered")],
    ),
    (create_item("wallets", {"id": "points"}), [("wallets/points", "added")]),
    (replace_document({**BASE, "settings": {"name": "Other"}}), [("settings", "changed")]),
    (replace_document({**BASE, "rules": [rule("c"), rule("a"), rule("b")]}), [("rules", "reordered")]),
]


@pytest.mark.parametrize(("edit", "changes"), EDITS, ids=[str(changes) for _, changes in EDITS])
def test_an_edit_changes_what_it_names(edit: Edit, changes: list[tuple[str, str]]) -> None:
    decision = decide(LIVE, edit)
    assert isinstance(decision, Publication)
    assert [(change.item, change.kind) for change in decision.changes] == changes
    assert decision.number == decision.program.revision == 2
    for item, revision in decision.item_revisions.items():
        assert revision == (2 if item in dict(changes) else 1), item
    assert decision.program.item_revisions == decision.item_revisions


REFUSED = [
    (create_item("rules", rule("a")), Exists(item="rules/a")),
    (patch_item("rules", "z", {}), Missing(item="rules/z")),
    (delete_item("rules", "z"), Missing(item="rules/z")),
    (replace_document(BASE, expected=7), Stale(items=(), live=1)),
    (replace_item("rules", rule("a", "9"), expected=7), Stale(items=("rules/a",), live=1)),
    (replace_item("rules", rule("z"), expected=1), Stale(items=("rules/z",), live=1)),
    (create_item("rewards", reward("mug")), Exists(item="rewards/mug")),
    (patch_item("rewards", "hat", {}), Missing(item="rewards/hat")),
    (delete_item("rewards", "mug", expected=3), Stale(items=("rewards/mug",), live=1)),
    (delete_item("tiers", "low", expected=3), Stale(items=("tiers/low",), live=1)),
    (replace_tiers_frame({}, expected=9), Stale(items=("tiers",), live=1)),
]


@pytest.mark.parametrize(("edit", "refusal"), REFUSED, ids=[str(refusal) for _, refusal in REFUSED])
def test_an_edit_is_refused(edit: Edit, refusal: Decision) -> None:
    assert decide(LIVE, edit) == refusal


def test_expected_is_the_item_s_own_revision() -> None:
    """Editors of different rules do not collide."""
    live = step(LIVE, replace_item("rules", rule("a", "5")))
    live = step(live, replace_item("rules", rule("b", "5"), expected=1))
    assert decide(live, replace_item("rules", rule("a", "6"), expected=1)) == Stale(items=("rules/a",), live=3)
    assert isinstance(decide(live, replace_item("rules", rule("a", "6"), expected=2)), Publication)


def test_nothing_changed_makes_no_revision() -> None:
    for edit in (replace_document(BASE), replace_item("rules", rule("a")), patch_item("rules", "a", {})):
        assert decide(LIVE, edit) == Unchanged(number=1, warnings=())
    with_revision = {"revision": 1, **BASE}
    assert decide(LIVE, replace_document(with_revision)) == Unchanged(number=1, warnings=())


def test_the_order_of_properties_counts() -> None:
    types = [{"id": "t", "properties": {"a": {"type": "text"}, "b": {"type": "text"}}}]
    turned = [{"id": "t", "properties": {"b": {"type": "text"}, "a": {"type": "text"}}}]
    decision = decide(published({"event_types": types}), replace_document({"event_types": turned}))
    assert isinstance(decision, Publication)
    assert [part.pointer for part in decision.changes[0].fields] == ["/properties"]


def test_one_wrong_rule_refuses_the_whole_program() -> None:
    wrong = {**BASE, "rules": [rule("a"), rule("b", "properties.amout"), rule("c")]}
    for edit in (replace_document(wrong), replace_item("rules", rule("b", "properties.amout"))):
        decision = decide(LIVE, edit)
        assert isinstance(decision, Invalid)
        [problem] = decision.problems
        assert (problem.code, problem.pointer) == ("unknown_property", "/rules/1/award")
        assert problem.span is not None
        assert within_item(problem, decision.document) == ("rules/b", "/award")


def test_what_is_still_referred_to_stays() -> None:
    live = published({"event_types": [{"id": "t"}], "rules": [{"id": "r", "event_type": "t", "award": "1"}]})
    decision = decide(live, delete_item("event_types", "t"))
    assert isinstance(decision, Invalid)
    assert [within_item(found, decision.document) for found in decision.problems] == [("rules/r", "/event_type")]


def test_what_a_reward_names_stays() -> None:
    live = published(
        {
            "wallets": [{"id": "points"}, {"id": "gems"}],
            "tiers": {"levels": [level("low", 0), level("high", 100)]},
            "rewards": [reward("cup", wallet="gems", tiers=["low", "high"])],
        }
    )
    for edit, pointer in ((delete_item("wallets", "gems"), "/wallet"), (delete_item("tiers", "high"), "/tiers/1")):
        decision = decide(live, edit)
        assert isinstance(decision, Invalid)
        assert [within_item(found, decision.document) for found in decision.problems] == [("rewards/cup", pointer)]


def test_levels_are_kept_in_order_of_their_thresholds() -> None:
    live = step(LIVE, create_item("tiers", level("middle", 50)))
    assert [item for item in items_of(live.document) if item.startswith("tiers/")] == [
        "tiers/low",
        "tiers/middle",
        "tiers/high",
    ]


PATCHES = [  # RFC 7396, appendix A
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), PATCHES)
def test_merge_patch_is_rfc_7396(target: object, patch: object, result: object) -> None:
    assert merge_patch(target, patch) == result


RULES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6).flatmap(
    lambda ids: st.tuples(*(st.builds(rule, st.just(item_id), st.sampled_from("123")) for item_id in ids)).map(list)
)
LEVELS = st.lists(st.sampled_from("xyz"), unique=True).map(
    lambda ids: [level(item_id, 10 * ("xyz".index(item_id) + 1)) for item_id in sorted(ids)]
)
REWARDS = st.lists(st.sampled_from("pqr"), unique=True).flatmap(
    lambda ids: st.tuples(*(st.builds(reward, st.just(item_id), st.integers(1, 2)) for item_id in ids)).map(list)
)
PROGRAMS = st.fixed_dictionaries(
    {"rules": RULES, "rewards": REWARDS},
    optional={
        "settings": st.fixed_dictionaries({"name": st.sampled_from(["A", "B"])}),
        "tiers": st.fixed_dictionaries({"levels": LEVELS}, optional={"downgrade": st.just("never")}),
    },
)


@given(PROGRAMS, PROGRAMS)
def test_a_diff_applied_gives_the_newer_document(old: Document, new: Document) -> None:
    assert diff(new, apply_changes(diff(old, new), old, new)) == ()


@given(PROGRAMS, PROGRAMS, PROGRAMS)
def test_a_merged_draft_has_the_changes_of_both(base: Document, draft: Document, current: Document) -> None:
    mine, theirs = diff(base, draft), diff(base, current)
    decision = decide(published(current), merge_draft(base, draft))
    if theirs and conflicts(mine, theirs):
        assert isinstance(decision, Stale)
        assert set(decision.items) <= {change.item for change in mine} & {change.item for change in theirs}
        return
    assert isinstance(decision, Publication | Unchanged)
    merged = items_of(decision.document if isinstance(decision, Publication) else current)
    for change in (*mine, *theirs):
        if change.kind != "reordered":
            assert merged.get(change.item) == change.new
    touched = {change.item for change in (*mine, *theirs)}
    before = items_of(base)
    assert {item: merged.get(item) for item in before if item not in touched} == {
        item: value for item, value in before.items() if item not in touched
    }


@given(PROGRAMS, PROGRAMS)
def test_a_rollback_restores_the_old_content(first: Document, second: Document) -> None:
    live = published(first)
    later = decide(live, replace_document(second))
    if isinstance(later, Publication):
        after = Live(number=later.number, document=later.document, item_revisions=later.item_revisions)
        back = decide(after, replace_document(live.document))
        assert isinstance(back, Publication)
        assert diff(back.document, live.document) == ()
        assert back.number == 3


def test_an_order_both_changed_differently_is_a_conflict() -> None:
    base = {"rules": [rule("a"), rule("b"), rule("c")]}
    draft = {"rules": [rule("b"), rule("a"), rule("c")]}
    current = published({"rules": [rule("a"), rule("c"), rule("b")]})
    assert decide(current, merge_draft(base, draft)) == Stale(items=("rules",), live=1)


def test_a_merge_keeps_the_draft_s_order_and_the_others_additions() -> None:
    base = {"rules": [rule("a"), rule("b"), rule("c")]}
    draft = {"rules": [rule("c"), rule("b"), rule("a")]}
    current = published({"rules": [rule("a"), rule("new"), rule("b"), rule("c")]})
    decision = decide(current, merge_draft(base, draft))
    assert isinstance(decision, Publication)
    assert [found.id for found in decision.program.rules] == ["c", "b", "a", "new"]
