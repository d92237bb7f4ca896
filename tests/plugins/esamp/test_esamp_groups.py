"""Which requests share a slot, when a group ends, and that slots come back however many requests pass."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tts.plugins.esamp.groups import Group, Groups


class Watched(Groups):
    """Groups that note who began and who ended."""

    def __init__(self, num_slots: int, max_members: int = 100, **kwargs: Any) -> None:
        self.begun: list[tuple[str, int]] = []
        self.over: list[str] = []
        super().__init__(
            num_slots,
            max_members,
            started=lambda group: self.begun.append((group.key, group.slot)),
            ended=lambda group: self.over.append(group.key),
            **kwargs,
        )


def joined(groups: Groups, request_id: str, key: str, size: int | None = None) -> Group:
    group = groups.join(request_id, key, size)
    assert group is not None
    return group


def test_requests_of_a_key_share_a_slot_and_keys_do_not() -> None:
    groups = Watched(3)
    slots = [joined(groups, f"r{i}", "abca"[i]).slot for i in range(4)]
    assert slots == [0, 1, 2, 0]
    assert groups.begun == [("a", 0), ("b", 1), ("c", 2)]


def test_a_group_of_known_size_ends_when_all_have_left() -> None:
    groups = Watched(2)
    first = joined(groups, "a0", "a", 3)
    groups.leave("a0", first)
    assert groups.over == []  # two more are expected
    for request_id in ("a1", "a2"):
        assert joined(groups, request_id, "a", 3) is first
    groups.leave("a2", first)
    assert groups.over == []
    groups.leave("a1", first)
    assert (groups.over, len(groups)) == (["a"], 0)


def test_a_group_of_unknown_size_ends_when_nobody_is_left() -> None:
    groups = Watched(2)
    a, b = joined(groups, "a0", "a"), joined(groups, "b0", "b")
    joined(groups, "a1", "a")
    groups.leave("a0", a)
    assert groups.over == []
    groups.leave("a1", a)
    groups.leave("b0", b)
    assert groups.over == ["a", "b"]


def test_without_a_free_slot_a_new_group_is_refused_and_old_ones_are_not() -> None:
    groups = Watched(2)
    a = joined(groups, "a0", "a")
    joined(groups, "b0", "b")
    assert not groups.has_room("c")
    assert groups.join("c0", "c") is None
    assert groups.has_room("a")
    assert joined(groups, "a1", "a") is a
    groups.leave("a0", a)
    groups.leave("a1", a)
    assert groups.has_room("c")
    assert joined(groups, "c0", "c").slot == 0


def test_a_group_has_no_more_members_at_once_than_rows() -> None:
    groups = Watched(2, max_members=2)
    a = joined(groups, "a0", "a", 4)
    joined(groups, "a1", "a", 4)
    assert not groups.has_room("a")
    assert groups.join("a2", "a", 4) is None
    groups.leave("a0", a)
    assert joined(groups, "a2", "a", 4) is a


def test_a_group_whose_members_never_came_gives_up_its_slot_when_it_is_needed() -> None:
    groups = Watched(2)
    for key in ("a", "b"):
        groups.leave(f"{key}0", joined(groups, f"{key}0", key, 9))
    groups.leave("a1", joined(groups, "a1", "a", 9))  # now b has waited longest
    assert groups.over == []
    assert groups.has_room("c")
    assert joined(groups, "c0", "c").slot == 1
    assert groups.over == ["b"]


def test_shared_scope_is_one_group_that_never_ends() -> None:
    groups = Watched(1, shared=True)
    a, b = joined(groups, "a0", "a", 1), joined(groups, "b0", "b")
    assert a is b
    groups.leave("a0", a)
    groups.leave("b0", b)
    assert groups.over == []
    assert joined(groups, "c0", "c") is a
    assert groups.begun == [("", 0)]


def test_ten_thousand_requests_leave_nothing_behind() -> None:
    groups = Watched(3)
    for problem in range(2500):
        members = [(f"{problem}.{i}", joined(groups, f"{problem}.{i}", str(problem), 4)) for i in range(4)]
        for request_id, group in members:
            groups.leave(request_id, group)
    assert (len(groups), len(groups.over)) == (0, 2500)
    assert {slot for _, slot in groups.begun} == {0}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), max_size=60))
def test_live_groups_never_share_a_slot(events: list[tuple[int, int, bool]]) -> None:
    groups, members = Watched(2, max_members=3), dict[str, Group]()
    for key, index, leaves in events:
        request_id = f"{key}.{index}"
        if leaves and request_id in members:
            groups.leave(request_id, members.pop(request_id))
        elif request_id not in members and not leaves:
            room = groups.has_room(str(key))
            group = groups.join(request_id, str(key), key or None)
            assert (group is not None) == room
            if group is not None:
                members[request_id] = group
        live = {group.slot: group for group in members.values()}
        assert all(live[group.slot] is group for group in members.values())
        assert set(live) <= {0, 1}
