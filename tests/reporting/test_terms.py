"""Pages explain the terms that they use."""

from tl_keras.reporting.terms import glossary, terms


def test_every_heading_of_the_glossary_has_its_meaning() -> None:
    assert all(names and meaning for names, meaning in glossary())


def test_a_term_is_explained_where_it_is_read() -> None:
    page = '<p title="precision">The recall of two <b>folds</b>, each.</p>'
    assert {names.split(" / ")[0] for names, _ in terms(page)} == {"recall", "fold"}
