"""The page in a real browser: photos get the answers of `tl-keras predict`, and go nowhere else."""

import base64
import csv
import io
import itertools
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="needs playwright")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

import uvicorn
from playwright.sync_api import expect, sync_playwright

from tests.hostile.pictures import SOUND
from tests.hostile.texts import FILE_NAMES
from tests.reporting.browser import serious_findings
from tl_keras.commands import predict
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.safe_text import guard, one_line, unguard
from tl_keras.serving.connections import Connection
from tl_keras.serving.exported_classifier import Answers, HeatMaps
from tl_keras.serving.served_model import ServedModel, load_model
from tl_keras.serving.server import Limits, make_app
from tl_keras.serving.versions import find_version

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs the browser Chromium"),
]

Page = Any
MEGABYTE = 2**20
# Both lead here: a name of the web, as by DNS rebinding, and one of the network around.
ELSEWHERE, NEARBY = "elsewhere.example", "plant.local"


@dataclass
class Told:
    """A stand-in for an exported model: a photo bears, after its pixels, what is answered to it.

    Attributes:
        decides, knows_strangers, explains: as of an `ExportedClassifier`.
        before: done before each batch is answered.
        asked: names of the photos of each batch.
        most: batches that were answered at the same time.
    """

    decides: bool = True
    knows_strangers: bool = True
    explains: bool = True
    before: Callable[[], object] = lambda: None
    asked: list[list[str]] = field(default_factory=list)
    most: int = 0
    version = Path("of no export")
    reading = DEFAULTS
    _now: int = 0

    def classify_paths(self, files: Sequence[bytes]) -> Iterator[Answers]:
        self._now += 1
        self.most = max(self.most, self._now)
        told = [json.loads(file.partition(b"told:")[2]) for file in files]
        self.asked.append([each["label"] for each in told])
        self.before()
        self._now -= 1
        numbers = {
            name: np.array([each[name] for each in told], np.float32)
            for name in ("confidence", "familiar")
        }
        yield Answers(
            labels=[each["label"] for each in told],
            probabilities=np.full((len(told), 1), 0.5, np.float32),
            decoded=np.ones(len(told), bool),
            decision=[each["decision"] for each in told] if self.decides else None,
            confidence=numbers["confidence"] if self.decides else None,
            familiar=numbers["familiar"] if self.knows_strangers else None,
        )

    def heat_maps_of_paths(self, files: Sequence[bytes]) -> Iterator[HeatMaps]:
        (answers,) = self.classify_paths(files)
        photos = np.full((len(files), 8, 8, 3), 128, np.uint8)
        evidence = np.full((len(files), 8, 8), 0.5, np.float32)
        evidence[:, :4] = -1
        yield HeatMaps(answers, photos, evidence, np.full(len(files), 8))


def photo(
    label: str = "crack",
    decision: str = "accept",
    name: str | None = None,
    *,
    confidence: float = 0.75,
    familiar: float = 0.5,
) -> dict[str, Any]:
    """A file for an input: a PNG that bears its answer."""
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), (200, 40, 40)).save(buffer, "PNG")
    told = {"label": label, "decision": decision, "confidence": confidence, "familiar": familiar}
    content = buffer.getvalue() + b"told:" + json.dumps(told).encode()
    return {"name": name or f"{label}.png", "mimeType": "image/png", "buffer": content}


@contextmanager
def serving(classifier: Any, statuses: list[int] | None = None, **limits: int) -> Iterator[str]:
    """The address at which a model is served; with what status is noted."""
    model = classifier
    if not isinstance(classifier, ServedModel):
        model = ServedModel("parts", 3, cast(Any, classifier), {})
    app = make_app(model, Limits(**limits))

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        async def note(message: Any) -> None:
            if statuses is not None and "status" in message:
                statuses.append(message["status"])
            await send(message)

        await app(scope, receive, note)

    config = uvicorn.Config(noted, http=Connection, ws="none", lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = [
        *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1, MAP {NEARBY} 127.0.0.1",
        # else it would refuse itself what the server is to refuse
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    ]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=options)
        yield running
        running.close()


@dataclass
class Visit:
    """A page in a browser.

    Attributes:
        page: the page.
        requests: addresses that it asked for.
        faults: what went wrong in it: exceptions, dialogs and complaints of the browser.
    """

    page: Page
    requests: list[str]
    faults: list[str]

    def give(self, files: Any) -> None:
        """Choose files, and wait until all are answered."""
        before = self.page.locator("#list > li").count()
        self.page.set_input_files("#photos", files)
        expect(self.page.locator("#list > li")).to_have_count(before + len(files), timeout=60_000)
        expect(self.page.locator("#work")).to_be_hidden()

    def rows(self) -> list[dict[str, str]]:
        """What is shown of each photo, by the part of it."""
        script = """items => items.map(item => Object.fromEntries([
            ...item.querySelectorAll(".words p")].map(part => [part.className, part.innerText])))"""
        rows: list[dict[str, str]] = self.page.locator("#list > li").evaluate_all(script)
        return rows

    def table(self) -> str:
        """The CSV that is downloaded."""
        with self.page.expect_download() as download:
            self.page.click("#save")
        return str(Path(download.value.path()).read_bytes().decode("utf-8"))


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    contexts = []

    def start(address: str, **options: Any) -> Visit:
        context = browser.new_context(**options)
        contexts.append(context)
        page, requests, faults = context.new_page(), list[str](), list[str]()

        def dismiss(dialog: Any) -> None:
            faults.append(dialog.message)
            dialog.dismiss()

        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
        page.on("dialog", dismiss)
        page.goto(address)
        return Visit(page, requests, faults)

    yield start
    for context in contexts:
        context.close()


def cells(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photos of three colours, of odd formats and of none."""
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in {"red": (255, 0, 0), "mixed": (90, 120, 90), "green": (0, 255, 0)}.items():
        Image.new("RGB", (50, 40), colour).save(folder / f"{name}.png")
    for name in ("plain.tif", "lossless.webp", "plain.jpg"):
        (folder / name).write_bytes(SOUND[name])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "garbage.jpg").write_bytes(b"garbage")
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:-30])
    return sorted(folder.iterdir())


def test_nobody_is_kept_out_by_how_they_see_or_type(browser: Any) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    with serving(Told()) as address:
        assert serious_findings(browser, address) == []


def test_answers_are_those_of_predict_and_no_photo_leaves_the_machine(
    colour_export: Path, files: list[Path], tmp_path: Path, visit: Callable[..., Visit]
) -> None:
    table = tmp_path / "answers.csv"
    assert (
        predict.main(
            [str(colour_export), *map(str, files), "--format", "csv", "--output", str(table)]
        )
        == 0
    )
    wanted = cells(table.read_text(encoding="utf-8"))
    with serving(load_model(find_version(colour_export), "colours")) as address:
        shown = visit(address)
        shown.give(files)
        rows, found = shown.rows(), cells(shown.table())
    assert [*found[0]] == [*wanted[0]]
    assert len(found) == len(rows) == len(files)
    for row, line, right in zip(rows, found, wanted, strict=True):
        assert line["file"] == row["name"] == Path(right["file"]).name
        assert [line[name] for name in ("label", "decision", "problem")] == [
            right[name] for name in ("label", "decision", "problem")
        ]
        assert [float(line[name]) for name in ("probability", "confidence")] == [
            float(right[name]) for name in ("probability", "confidence")
        ]
        if right["problem"]:
            assert row == {"name": line["file"], "problem": right["problem"]}
            continue
        assert (row["label"], row["problem"]) == (right["label"], "")
        assert row["share"] == f"confidence {float(right['confidence']):.1%}"
        assert right["decision"] in row["decision"]
    assert {row["problem"] for row in wanted} > {"", "empty file"}
    outside = [url for url in shown.requests if not url.startswith((address, "blob:", "data:"))]
    assert outside == []
    assert shown.faults == []


def test_names_are_shown_and_stored_as_text(visit: Callable[..., Visit]) -> None:
    """Nothing of the name of a file or class runs, turns a line or is computed."""
    known = ["<img src=x onerror=alert(1)>", *FILE_NAMES.values()]
    photos = [photo(label=name, name=f"{name}.jpg") for name in known]
    with serving(Told()) as address:
        shown = visit(address)
        shown.give(photos)
        rows, text = shown.rows(), shown.table()
        images = shown.page.locator("img[src='x']").count()
    assert images == 0
    assert shown.faults == []
    assert [squeezed(row["name"]) for row in rows] == [
        squeezed(one_line(f"{n}.jpg")) for n in known
    ]
    assert [squeezed(row["label"]) for row in rows] == [squeezed(one_line(n)) for n in known]
    found = cells(text)
    assert [row["label"] for row in found] == [guard(name) for name in known]
    assert [unguard(row["file"]) for row in found] == [f"{name}.jpg" for name in known]
    raw = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in raw if re.match(r"[=@+\t\r]|-(?![\d.])", cell)]


def squeezed(text: str) -> str:
    """As a browser shows it: several spaces are one."""
    return " ".join(text.split())


def test_unknown_and_review_are_seen_to_be_different(visit: Callable[..., Visit]) -> None:
    decisions = ("accept", "review", "unknown")
    with serving(Told()) as address:
        shown = visit(address)
        shown.give([photo(decision=decision, name=f"{decision}.png") for decision in decisions])
        rows = shown.rows()
        script = """badges => badges.map(badge => {
            const own = getComputedStyle(badge), item = getComputedStyle(badge.closest("li"));
            const sign = getComputedStyle(badge, "::before").content;
            const border = item.borderTopStyle + item.borderTopColor;
            return [own.color, own.backgroundColor, border, sign];
        })"""
        looks = shown.page.locator(".photo .badge").evaluate_all(script)
    for place in range(4):
        assert len({look[place] for look in looks}) == 3 - (place < 2 and looks[0] == looks[1])
    assert "a person should look" in rows[1]["decision"]
    assert "unlike" in rows[2]["decision"]
    assert [row["familiar"] for row in rows] == [
        *("familiar: yes (0.500)", "familiar: yes (0.500)", "familiar: no (0.500)")
    ]


def test_a_model_that_says_less_is_shown_with_less(visit: Callable[..., Visit]) -> None:
    told = Told(decides=False, knows_strangers=False, explains=False)
    with serving(told) as address:
        shown = visit(address)
        shown.give([photo()])
        (row,) = shown.rows()
        buttons = shown.page.locator("#list button").count()
        text = shown.page.inner_text("body")
        assert shown.table().splitlines()[0] == "file,label,probability,problem"
    assert row == {
        "name": "crack.png",
        "label": "crack",
        "share": "probability 50.0%",
        "familiar": "",
        "problem": "",
    }
    assert buttons == 0
    assert not re.search(r"undefined|NaN|null|confidence \d", text)


def test_a_heat_map_is_drawn_when_it_is_asked_for(visit: Callable[..., Visit]) -> None:
    with serving(Told()) as address:
        shown = visit(address)
        shown.give([photo(), photo()])
        assert not [url for url in shown.requests if url.endswith(":heat_map")]
        button = shown.page.locator("#list button").nth(1)
        button.focus()
        shown.page.keyboard.press("Enter")
        image = shown.page.locator(".heat img").nth(1)
        expect(image).to_be_visible()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 8
        assert button.get_attribute("aria-expanded") == "true"
        assert "crack" in shown.page.locator(".heat p").nth(1).inner_text()
        # 1 in a mean of 0.75
        scale = shown.page.locator(".scale").nth(1)
        assert re.findall(r"[\d.]+%", scale.inner_text()) == ["1.3%", "1.3%"]
        assert "gradient" in scale.locator(".colours").evaluate("bar => bar.style.background")
        shown.page.keyboard.press("Enter")
        expect(image).to_be_hidden()
        shown.page.keyboard.press("Enter")
    assert len([url for url in shown.requests if url.endswith(":heat_map")]) == 1
    assert shown.faults == []


def test_what_is_too_large_is_not_sent_and_said(visit: Callable[..., Visit]) -> None:
    large = {**photo(), "buffer": b"\x89PNG" + bytes(MEGABYTE)}
    with serving(Told(), request_bytes=MEGABYTE) as address:
        shown = visit(address)
        shown.give([photo(), large, photo()])
        rows = shown.rows()
    assert [row["problem"] != "" for row in rows] == [False, True, False]
    assert "1.0 MB, more than the 0.7 MB" in rows[1]["problem"]
    assert "--max-request-megabytes" in rows[1]["problem"]


def test_five_hundred_photos_go_in_small_requests_one_after_the_other(
    visit: Callable[..., Visit],
) -> None:
    told, statuses = Told(), list[int]()
    labels = [f"{number}{'x' * (number * number % 350)}" for number in range(500)]
    with serving(told, statuses, request_bytes=1_200, batch=4) as address:
        shown = visit(address)
        shown.page.set_input_files("#photos", [photo(label) for label in labels])
        expect(shown.page.locator("#list > li")).to_have_count(500, timeout=120_000)
        expect(shown.page.locator("#said")).to_have_text("500 photos answered.")
        rows = cells(shown.table())
        blobs = shown.page.locator(".shot img").evaluate_all(
            "images => images.map(each => [each.src.slice(0, 5), each.naturalWidth])"
        )
    assert [row["label"] for row in rows] == labels
    # some of them by the bytes, the others by their number
    assert {2, 3, 4} <= set(map(len, told.asked)) <= {1, 2, 3, 4}
    assert set(statuses) == {200}
    assert told.most == 1
    assert {kind for kind, _ in blobs} == {"blob:"}
    assert max(width for _, width in blobs) <= 224
    assert shown.faults == []


def test_what_is_left_can_be_stopped(visit: Callable[..., Visit]) -> None:
    told = Told(before=lambda: time.sleep(0.2))
    with serving(told, batch=4) as address:
        shown = visit(address)
        shown.page.set_input_files("#photos", [photo(f"p{number}") for number in range(200)])
        expect(shown.page.locator("#list > li")).not_to_have_count(0)
        shown.page.click("#stop")
        expect(shown.page.locator("#said")).to_contain_text("Stopped")
        asked, answered = len(told.asked), shown.page.locator("#list > li").count()
        said = shown.page.inner_text("#said")
        # others are answered as before
        shown.give([photo("after")])
        time.sleep(0.5)
    assert said == f"Stopped: {200 - answered} photos of 200 not asked."
    assert told.asked[-1] == ["after"]
    assert len(told.asked) <= asked + 2
    assert len(cells(shown.table())) == answered + 1


def test_a_busy_server_is_asked_again_when_it_says(visit: Callable[..., Visit]) -> None:
    told, times = Told(), []

    def busy(route: Any) -> None:
        times.append(time.monotonic())
        if len(times) > 2:
            route.continue_()
            return
        answer = {"error": "The server has too many large requests. Send it again."}
        route.fulfill(status=503, headers={"Retry-After": "2"}, json=answer)

    with serving(told) as address:
        shown = visit(address)
        shown.page.route("**/*:predict_files", busy)
        shown.page.set_input_files("#photos", [photo()])
        expect(shown.page.locator("#said")).to_contain_text("too many large requests")
        expect(shown.page.locator("#list > li")).to_have_count(1)
    assert len(times) == 3
    assert min(later - sooner for sooner, later in itertools.pairwise(times)) >= 1.9


def test_where_the_server_is_gone_the_rest_waits(visit: Callable[..., Visit]) -> None:
    with serving(Told()) as address:
        shown = visit(address)
        shown.page.route("**/*:predict_files", lambda route: route.abort())
        shown.page.set_input_files("#photos", [photo(), photo()])
        expect(shown.page.locator("#said")).to_contain_text("2 photos still to be asked")
        shown.page.unroute("**/*:predict_files")
        shown.page.click("#go")
        expect(shown.page.locator("#list > li")).to_have_count(2)
        expect(shown.page.locator("#go")).to_be_hidden()


def test_one_photo_that_is_refused_takes_no_other_with_it(visit: Callable[..., Visit]) -> None:
    def refuse(route: Any) -> None:
        bodies = [
            base64.b64decode(each["b64"]) for each in route.request.post_data_json["instances"]
        ]
        if any(b'"bad"' in body for body in bodies):
            route.fulfill(status=500, json={"error": "The server failed."})
        else:
            route.continue_()

    with serving(Told()) as address:
        shown = visit(address)
        shown.page.route("**/*:predict_files", refuse)
        shown.give([photo("a"), photo("bad"), photo("b")])
        rows, lines = shown.rows(), cells(shown.table())
    assert [row.get("label", "") for row in rows] == ["a", "", "b"]
    assert rows[1]["problem"] == "The server failed."
    assert [line["problem"] for line in lines] == ["", "The server failed.", ""]


def drop(page: Page, items: list[dict[str, str]], files: list[Path]) -> None:
    """Drop things on a page, as from another window."""
    data = {"items": items, "files": list(map(str, files)), "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 9, "y": 9, "data": data})


def test_a_folder_is_dropped_with_all_below(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    for name in ("b/2.png", "a/1.JPG", "a/.hidden.png", "notes.txt", "__MACOSX/3.png"):
        path = tmp_path / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(name)["buffer"])
    loose = tmp_path / "without_an_ending"
    loose.write_bytes(photo("loose")["buffer"])
    with serving(Told()) as address:
        shown = visit(address)
        drop(shown.page, [], [tmp_path / "parts", loose])
        expect(shown.page.locator("#list > li")).to_have_count(3)
        names = sorted(row["name"] for row in shown.rows())
        complaints = shown.page.inner_text("#complaints")
    assert names == ["parts/a/1.JPG", "parts/b/2.png", "without_an_ending"]
    assert complaints.startswith("3 files left out")
    assert shown.faults == []


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([{"mimeType": "text/uri-list", "data": "http://a.example/b.png"}], "No file was dropped"),
        ([], "There is no file in empty"),
    ],
    ids=["link", "empty folder"],
)
def test_a_drop_without_any_photo_is_told(
    items: list[dict[str, str]], told: str, tmp_path: Path, visit: Callable[..., Visit]
) -> None:
    (tmp_path / "empty").mkdir()
    with serving(Told()) as address:
        shown = visit(address)
        drop(shown.page, items, [] if items else [tmp_path / "empty"])
        expect(shown.page.get_by_role("alert")).to_contain_text(told)
        assert shown.page.url == address


def test_a_folder_is_chosen(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    for name in ("b/2.png", "a/1.png", "a/notes.txt"):
        path = tmp_path / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(name)["buffer"])
    with serving(Told()) as address:
        shown = visit(address)
        shown.page.set_input_files("#folder", str(tmp_path / "parts"))
        expect(shown.page.locator("#list > li")).to_have_count(2)
        names = [row["name"] for row in shown.rows()]
    assert names == ["parts/a/1.png", "parts/b/2.png"]


def test_a_photo_of_the_camera_is_answered(
    colour_export: Path, visit: Callable[..., Visit]
) -> None:
    with serving(load_model(find_version(colour_export), "colours")) as address:
        shown = visit(address, permissions=["camera"])
        shown.page.click("#camera")
        shown.page.click("#shoot")
        expect(shown.page.locator("#list > li")).to_have_count(1)
        (row,) = shown.rows()
        shown.page.click("#off")
        expect(shown.page.locator("#video")).to_be_hidden()
    assert row["name"] == "camera-1.jpg"
    assert row["label"] in ("red", "grün", "blue")
    assert shown.faults == []


def test_from_another_machine_there_is_no_camera_and_the_page_says_why(
    visit: Callable[..., Visit],
) -> None:
    with serving(Told()) as address:
        shown = visit(address.replace("127.0.0.1", NEARBY))
        expect(shown.page.locator("#camera")).to_be_hidden()
        expect(shown.page.locator("#no-camera")).to_be_visible()
        shown.give([photo()])
        assert shown.rows()[0]["label"] == "crack"
    assert shown.faults == []


def test_answers_of_one_kind_can_be_shown_alone_and_all_be_removed(
    visit: Callable[..., Visit],
) -> None:
    decisions = ["accept", "review", "accept", "unknown"]
    with serving(Told()) as address:
        shown = visit(address)
        shown.give([photo(decision=decision) for decision in decisions])
        options = shown.page.locator("#only option").all_inner_texts()
        assert options == ["all (4)", "accept (2)", "review (1)", "unknown (1)"]
        shown.page.select_option("#only", "accept")
        assert shown.page.locator("#list > li:visible").count() == 2
        assert len(cells(shown.table())) == 4
        shown.page.click("#clear")
        expect(shown.page.locator("#answers")).to_be_hidden()
        shown.give([photo("again")])
        assert [row["label"] for row in cells(shown.table())] == ["again"]


def test_what_happens_is_told_to_those_who_do_not_see_it(visit: Callable[..., Visit]) -> None:
    with serving(Told()) as address:
        shown = visit(address)
        shown.give([photo(decision="review")])
        assert shown.page.get_by_role("status").inner_text() == (
            "crack.png: crack, confidence 75.0%, decision review"
        )
        for role, name in (
            *(("button", "Choose photos"), ("button", "Choose a folder")),
            *(("button", "Use the camera"), ("combobox", "Show")),
            *(("button", "Download all as CSV"), ("button", "Heat map of crack.png")),
        ):
            expect(shown.page.get_by_role(role, name=name, exact=True)).to_be_visible()
        reached = []
        shown.page.locator("h1").click()
        for _ in range(8):
            shown.page.keyboard.press("Tab")
            reached.append(
                shown.page.evaluate("document.activeElement.id || document.activeElement.className")
            )
        assert reached[:7] == ["photos", "folder", "camera", "only", "save", "clear", "small"]


# Of every text that is seen, the contrast with what is behind it, by WCAG 2.2, 1.4.3.
CONTRASTS = """() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255);
    const [r, g, b] = parts.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return /, 0\\)$/.test(colour) ? behind(node.parentElement) : colour;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    const pair = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
    found.push([walker.currentNode.data.trim(), (pair[0] + 0.05) / (pair[1] + 0.05)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_width_and_can_be_read(
    scheme: str, width: int, visit: Callable[..., Visit]
) -> None:
    photos = [photo("a" * 80, decision=each) for each in ("accept", "review", "unknown")]
    with serving(Told(), request_bytes=MEGABYTE) as address:
        size = {"width": width, "height": 800}
        shown = visit(address, viewport=size, color_scheme=scheme)
        shown.give([*photos, {**photo(name="b" * 200), "buffer": bytes(MEGABYTE)}])
        shown.page.locator("#list button").first.click()
        expect(shown.page.locator(".heat img").first).to_be_visible()
        shown.page.locator("summary").first.click()
        found = shown.page.evaluate(CONTRASTS)
        paper = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    assert len(found) > 30
    assert [(text, ratio) for text, ratio in found if ratio < 4.5] == []
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")


def test_a_name_of_the_web_that_leads_here_is_refused(visit: Callable[..., Visit]) -> None:
    told = Told()
    with serving(told) as address:
        shown = visit(address.replace("127.0.0.1", ELSEWHERE))
        assert f"'{ELSEWHERE}:" in shown.page.inner_text("body")
        answer = shown.page.evaluate("fetch('/v1/models/parts').then(answer => answer.status)")
        assert answer == 403
        assert visit(address.replace("127.0.0.1", "localhost")).page.locator("h1").count() == 1
    assert told.asked == []


@pytest.mark.parametrize("place", ["http://localhost:{port}/", f"http://{ELSEWHERE}/"])
def test_a_page_of_another_place_gets_no_answer(place: str, visit: Callable[..., Visit]) -> None:
    body = json.dumps({"instances": [{"b64": base64.b64encode(photo()["buffer"]).decode()}]})
    ask = """([address, body]) => fetch(address + "v1/models/parts:predict", {
        method: "POST", mode: "no-cors", body}).then(answer => answer.type, error => "refused")"""
    told, statuses = Told(), list[int]()
    with serving(told, statuses) as address:
        own = visit(address)
        assert (
            own.page.evaluate(ask.replace("predict", "predict_files"), [address, body]) == "basic"
        )
        # another server of this machine, and one on the web
        foreign = own.page.context.new_page()
        foreign.route(lambda url: not url.startswith(address), lambda route: route.fulfill(body=""))
        foreign.goto(place.format(port=1))
        assert foreign.evaluate(ask, [address, body]) == "refused"
    assert statuses == [200, 200, 403]
    assert told.asked == [["crack"]]
