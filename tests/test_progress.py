"""What is told where the work is done is heard by whoever listens around it."""

from tl_keras.progress import counted, far_of, heard_by, making


class Heard:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def making(self, what: str) -> None:
        self.texts.append(what)

    def far(self, text: str) -> None:
        self.texts.append(text)


def test_items_are_counted_for_whoever_listens() -> None:
    heard = Heard()
    with heard_by(heard):
        making("a run")
        assert list(counted("ab", 2, "photos")) == ["a", "b"]
        far_of(1000, 2000, "epochs")
    assert heard.texts == ["a run", "1 of 2 photos", "2 of 2 photos", "", "1,000 of 2,000 epochs"]


def test_outside_and_after_an_inner_listener_nothing_is_heard_twice() -> None:
    outer, inner = Heard(), Heard()
    with heard_by(outer):
        with heard_by(inner):
            making("b")
        making("a")
    making("nobody hears")
    assert (outer.texts, inner.texts) == (["a"], ["b"])
