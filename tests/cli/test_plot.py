from hypothesis import given
from hypothesis import strategies as st

from tts.cli.plot import ASCII, Curve, plot


def test_points_stand_where_their_shares_say() -> None:
    lines = plot([Curve("●", (0.0, 0.5, 1.0)), Curve("▲", (0.5, None, 0.0))], ["1", "2", "4"], width=21, height=5)
    assert lines == [
        " 100 ┼                  ··●",
        "     │             ·····",
        "  50 ┼▲       ··●··",
        "     │   ·····",
        "   0 ┼●··                 ▲",
        "     └─────────────────────",
        "      1         2         4",
    ]


shares = st.one_of(st.none(), st.floats(0, 1))


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=9), st.integers(24, 70))
def test_any_curves_fit_the_width_and_ascii(values: list[tuple[float | None, float | None]], width: int) -> None:
    firsts, seconds = zip(*values, strict=True)
    lines = plot(
        [Curve("●", firsts), Curve("▲", seconds)], [str(2**place) for place in range(len(values))], width=width
    )
    assert max(map(len, lines)) <= width + 8
    assert all(line.translate(ASCII).isascii() for line in lines)
