"""Labels marked on a page: what the page saves is what `data.corrections` reads."""

import re
from pathlib import Path

import pytest

from tests.hostile.texts import FILE_NAMES
from tests.reporting.browser import in_browser, told_by
from tests.reporting.marked_page import marked_page
from tl_keras.data.corrections import Correction, read_corrections
from tl_keras.reporting.page_scripts import script, script_hash
from tl_keras.reporting.pages import render

BEFORE = (Correction("old.png", "dent", ""), Correction("a.png", "good", "crack"))
# Saves as a click of a person does, and tells what file that is.
SAVED = """
let blob, name;
inside.URL.createObjectURL = (made) => { blob = made; return "blob:x"; };
inside.HTMLAnchorElement.prototype.click = function () { name = this.download; };
const forms = page.querySelectorAll("form.mark"), bar = page.getElementById("marks");
const choose = (form, is) => form.querySelector(`input[value=${is}]`).click();
const pick = (form, place) => {
  const select = form.querySelector("select");
  select.selectedIndex = place;
  select.dispatchEvent(new Event("change", { bubbles: true }));
};
const save = async () => {
  bar.querySelector("button").click();
  return { text: await blob.text(), name, told: bar.querySelector("output").textContent };
};
"""


def saved(page: str, steps: str, tmp_path: Path) -> tuple[Correction, ...]:
    found = told_by(page, f"{SAVED}{steps}; return await save();", tmp_path)
    assert found["name"] == "corrections.csv"
    table = tmp_path / "corrections.csv"
    table.write_text("\ufeff" + found["text"], encoding="utf-8", newline="")
    return read_corrections(str(table))


def test_only_its_own_script_runs_and_nothing_is_sent() -> None:
    html = marked_page([("a.png", "crack", "dent")])
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{script_hash('label_marks')}'"
    assert rules["form-action"] == "'none'"
    assert "connect-src" not in rules
    assert re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL) == [script("label_marks")]


def test_a_page_without_marks_runs_no_script() -> None:
    audit = {"images": 3, "classes": [], "notes": [], "sections": []}
    html = render("audit.html", {"name": '<form class="mark"', "audit": audit})
    assert "script-src" not in html
    assert "<script" not in html
    assert "Save corrections" not in html


def test_what_an_earlier_version_found_is_shown_without_choices() -> None:
    photo = {"images": [None], "lines": ["a.png"], "alt": "a.png"}
    section = {"kind": "label_errors", "title": "L", "message": "", "more": 0, "grave": True}
    audit = {"images": 3, "classes": [], "notes": [], "sections": [section]}
    section["parts"] = [{"title": "", "photos": [photo]}]
    assert "<form" not in render("audit.html", {"name": "parts", "audit": audit})


@pytest.mark.parametrize("name", FILE_NAMES.values(), ids=FILE_NAMES)
def test_no_name_is_markup(name: str) -> None:
    html = marked_page(
        [(name, name, "b" + name)], (name, "b" + name), (Correction(name, "c", name),)
    )
    assert html.count("<script") == html.count("<form") == html.count("<select") == 1
    assert not re.search(r"<(?:img|a)\b", html.partition("<main>")[2])


class TestInBrowser:
    """Marks as a person makes them."""

    pytestmark = in_browser

    def test_right_wrong_and_out(self, tmp_path: Path) -> None:
        page = marked_page([(f"{n}.png", "crack", "good") for n in range(4)])
        steps = "choose(forms[0], 'right'); choose(forms[1], 'wrong'); choose(forms[2], 'out')"
        assert saved(page, steps, tmp_path) == (
            Correction("0.png", "crack", "crack"),
            Correction("1.png", "crack", "good"),
            Correction("2.png", "crack", ""),
        )

    def test_another_class_is_picked_and_a_mark_taken_back(self, tmp_path: Path) -> None:
        page = marked_page([(f"{n}.png", "crack", "good") for n in range(3)])
        steps = (
            "pick(forms[0], 0); choose(forms[1], 'out'); choose(forms[2], 'right'); "
            "forms[1].querySelector('button').click(); choose(forms[2], 'wrong')"
        )
        assert saved(page, steps, tmp_path) == (
            Correction("0.png", "crack", "dent"),
            Correction("2.png", "crack", "good"),
        )

    def test_what_was_said_before_stays_in_the_table(self, tmp_path: Path) -> None:
        page = marked_page([("a.png", "crack", "dent"), ("b.png", "dent", "good")], before=BEFORE)
        steps = "choose(forms[0], 'wrong'); choose(forms[1], 'wrong')"
        assert saved(page, steps, tmp_path) == (
            BEFORE[0],
            Correction("a.png", "good", "dent"),
            Correction("b.png", "dent", "good"),
        )

    def test_a_photo_that_is_shown_twice_is_marked_once(self, tmp_path: Path) -> None:
        page = marked_page([("a.png", "crack", "dent"), ("a.png", "crack", "dent")])
        steps = (
            "choose(forms[0], 'wrong'); const same = forms[1].elements.is[1].checked; "
            "choose(forms[1], same ? 'right' : 'out')"
        )
        assert saved(page, steps, tmp_path) == (Correction("a.png", "crack", "crack"),)

    def test_any_name_comes_back_as_it_was(self, tmp_path: Path) -> None:
        names = [name for name in FILE_NAMES.values() if name.strip()]
        page = marked_page([(f"{n}{n}", n, n[::-1] + "x") for n in names], (*names, "=x"))
        steps = "forms.forEach((form, k) => k % 2 ? choose(form, 'right') : pick(form, k ? 0 : 1))"
        found = saved(page, steps, tmp_path)
        others = [names[k] if k % 2 else names[2 * (k == 0)] for k in range(len(names))]
        expected = [Correction(n + n, n, o) for n, o in zip(names, others, strict=True)]
        assert list(found) == expected

    def test_the_button_waits_for_a_mark_and_counts(self, tmp_path: Path) -> None:
        page = marked_page([("a.png", "crack", "dent"), ("b.png", "crack", "dent")])
        script = (
            SAVED + "const button = bar.querySelector('button'), before = button.disabled;"
            "choose(forms[0], 'right'); choose(forms[1], 'out'); const told = await save();"
            "forms.forEach(form => form.querySelector('button').click());"
            "return [before, told.told, button.disabled];"
        )
        before, told, after = told_by(page, script, tmp_path)
        assert (before, after) == (True, True)
        assert told == "2 photos marked, saved as corrections.csv"

    def test_every_control_has_a_name_and_is_reached_by_keyboard(self, tmp_path: Path) -> None:
        page = marked_page([("a.png", "crack", "dent")])
        script = (
            "const controls = [...page.querySelectorAll('input, select, button')];"
            "return controls.map(c => [c.tabIndex, "
            "c.ariaLabel || [...(c.labels || [])].map(l => l.textContent).join() || c.textContent])"
        )
        found = told_by(page, script, tmp_path)
        assert len(found) == 6
        assert all(place == 0 and name.strip() for place, name in found)

    def test_a_script_that_a_name_brings_does_not_run(self, tmp_path: Path) -> None:
        """Even where it became markup, the policy of the page would stop it."""
        page = marked_page([("a.png", "crack", "dent")])
        evil = "<script>window.ran = true</script><img src=x onerror='window.ran = true'>"
        broken = page.replace("<h1>", evil + "<h1>")
        assert told_by(broken, "return !!inside.ran", tmp_path) is False
        assert (
            told_by(
                page.replace("'sha256-", "'sha256-x"),
                SAVED + "return bar.querySelector('button').disabled",
                tmp_path,
            )
            is True
        )
