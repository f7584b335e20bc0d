"""Damage to bytes, for hypothesis."""

from hypothesis import strategies as st

TOKENS = [
    *(b"", b"\0", b"<", b'"', b"&#xD800;", b"null", b"[[[[", b"9" * 400, b"\xff\xfe", b"]]>"),
    *(b"<![x y]>", b"<!", b"<![CDATA["),
]


@st.composite
def mutations(draw: st.DrawFn, body: bytes) -> bytes:
    """`body` with up to four cuts, repeats, insertions or changed bytes."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 40)))
        middle = draw(
            st.one_of(
                st.sampled_from(TOKENS),
                st.binary(max_size=8),
                st.just(body[start:end] * 2),
            )
        )
        tail = draw(
            st.sampled_from([body[end:], b""]) if draw(st.booleans()) else st.just(body[end:])
        )
        body = body[:start] + middle + tail
    return body
