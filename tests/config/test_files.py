import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tl_keras.config import files
from tl_keras.config.files import (
    differences,
    fingerprint,
    json_schema,
    load_config,
    parse_config,
    slug,
)
from tl_keras.config.leaves import without
from tl_keras.errors import ConfigError

ROOT = Path(__file__).parents[2]
MINIMAL = {"name": "parts", "data": {"folder": "photos"}}


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(content: str | bytes | dict[str, Any], name: str = "x.json") -> str:
    if isinstance(content, dict):
        content = json.dumps(content)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def refusal(source: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load_config(source, overrides)
    return str(refused.value)


def test_minimal_file_gets_the_defaults() -> None:
    config = load_config(written(MINIMAL))
    assert (config.name, config.data.folder, config.backbone.weights) == (
        "parts",
        "photos",
        "imagenet",
    )


def test_directory_is_run_with_the_defaults_under_its_name() -> None:
    Path("My photos (2024)").mkdir()
    config = load_config(Path("My photos (2024)"))
    assert config == parse_config(
        {"name": "My_photos_2024", "data": {"folder": "My photos (2024)"}}
    )


def test_directory_takes_overrides() -> None:
    Path("photos").mkdir()
    assert load_config("photos", ["name=a", "seeds=5"]).seeds == 5


def test_working_directory_has_the_name_that_it_has_elsewhere() -> None:
    Path("photos").mkdir()
    config = load_config("photos/../photos/.")
    assert config.name == "photos"


@pytest.mark.parametrize(
    ("text", "name"),
    [("photos", "photos"), ("café 3", "cafe_3"), ("_x_", "x"), ("", "images")],
)
def test_slug(text: str, name: str) -> None:
    assert slug(text) == name
    assert parse_config({**MINIMAL, "name": slug(text)}).name == name


ODD = [
    "写真",
    "写真2024",
    "部品2024",
    "Трещины",
    "трещины",
    "😀",
    "Größe",
    "!!!",
    "???",
    "NUL",
    "com1.x",
]
ODD += ["a" * 150, "a" * 149 + "b", "-" * 120, "\udcff", "ｃａｆé写"]


def test_names_of_folders_in_any_script_are_their_own() -> None:
    names = [slug(text) for text in ODD]
    assert len({name.lower() for name in names}) == len(ODD)
    for text, name in zip(ODD, names, strict=True):
        assert parse_config({**MINIMAL, "name": name}).name == name == slug(text)
        assert name.split(".")[0].lower() not in {"con", "nul", "com1"}
        assert not name.endswith((".", " "))


def test_one_name_however_its_characters_are_composed() -> None:
    assert slug("が写真") == slug("か\u3099写真")


def test_home_is_found_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    raw = {"name": "a", "data": {"table": "~/t.csv", "root": "~"}, "results_dir": "~/r"}
    raw |= {"backbone": {"weights": "~/w.weights.h5"}, "cache": {"folder": "~/c"}}
    config = parse_config(raw)
    assert (config.data.table, config.data.root) == ("/home/me/t.csv", "/home/me")
    assert (config.results_dir, config.cache.folder) == ("/home/me/r", "/home/me/c")
    assert config.backbone.weights == "/home/me/w.weights.h5"
    Path("e.json").write_text(json.dumps({"name": "a", "data": {"folder": "./~"}}))
    assert load_config("e.json").data.folder == "./~"
    assert load_config("e.json", ["data.folder=~/x"]).data.folder == "/home/me/x"
    tfds = parse_config({"name": "a", "data": {"tfds": "mnist", "data_dir": "~/d"}})
    assert tfds.data.data_dir == "/home/me/d"


def test_problems_have_file_and_line_in_the_order_of_the_file() -> None:
    source = written(
        '{"name": "a b",\n "training": {"phase_1":\n {"epochs": 0}},\n'
        ' "data": {"folder": "x",\n"foldr": "y",\n"train_per_class": [\n1,\n"x"]}}'
    )
    assert refusal(source).split("\n") == [
        'x.json:1: name must be a string of at most 100 letters, digits, ".", "_" and "-" that '
        'starts with a letter or digit; got "a b"',
        "x.json:3: training.phase_1.epochs must be a whole number from 1 to 100000; got 0",
        "x.json:5: unknown key data.foldr; did you mean data.folder?",
        'x.json:8: data.train_per_class[1] must be a whole number from 1 to 1000000; got "x"',
    ]


def test_missing_key_has_the_place_of_its_section() -> None:
    assert refusal(written({"data": {"folder": "x"}})).startswith(
        "x.json: name is missing; it must be a string of at most 100 letters"
    )


def test_broken_rule_has_the_line_of_its_key() -> None:
    source = written(
        '{"name": "a", "data": {"folder": "x"}, "backbone":\n'
        '{"name": "Xception",\n"image_size": 64}}'
    )
    assert refusal(source) == (
        "x.json:3: backbone.image_size must be at least 71 for Xception; got 64"
    )


def test_problem_of_an_override_has_the_override_for_its_place() -> None:
    source = written({**MINIMAL, "seeds": 3})
    assert refusal(source, "seeds=0") == (
        "--set seeds=0: seeds must be a whole number from 1 to 100; got 0"
    )


def test_problems_of_overrides_and_file_come_together() -> None:
    source = written({**MINIMAL, "seeds": 0})
    assert [line.split(": ")[0] for line in refusal(source, "nme=x", "export=3").split("\n")] == [
        "--set nme=x",
        "--set export=3",
        "x.json:1",
    ]


def test_override_mends_the_file() -> None:
    assert load_config(written({**MINIMAL, "seeds": 0}), ["seeds=2"]).seeds == 2


def test_section_of_the_wrong_type_is_refused_in_spite_of_an_override() -> None:
    message = refusal(written({"name": "a", "data": 5}), "data.folder=x")
    assert message.startswith("x.json:1: data must be an object {...} with keys among folder, ")


@pytest.mark.parametrize("content", ["[1, 2]", '"x"', "3", "null"])
def test_file_must_hold_an_object(content: str) -> None:
    assert refusal(written(content)) == (
        "x.json: must hold one JSON object, such as "
        f'{{"name": "parts", "data": {{"folder": "photos/parts"}}}}; got {content}'
    )


def test_empty_file_is_refused() -> None:
    assert "the file is empty" in refusal(written(""))


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x00", '{"name": "é"}'.encode("latin-1")])
def test_file_that_is_no_text_is_refused(content: bytes) -> None:
    assert refusal(written(content)) == (
        "x.json: must be an experiment file (JSON), a directory of images or a table of them "
        "(.csv, .tsv, .parquet); got a file "
        "that is not UTF-8 text"
    )


def test_large_file_is_refused() -> None:
    message = refusal(written(b" " * 2_000_001))
    assert message.endswith("of at most 1 MB; got a file of 2 MB")


def test_byte_order_mark_is_accepted() -> None:
    assert load_config(written(b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode())).name == "parts"


def test_missing_file_gets_the_nearest_beside_it() -> None:
    Path("runs").mkdir()
    written(MINIMAL, "runs/defects.json")
    assert refusal("runs/defect.json") == (
        "runs/defect.json: must be an experiment file (JSON), a directory of images or a table of "
        "them (.csv, .tsv, .parquet); got a path "
        "where there is nothing; did you mean runs/defects.json?"
    )


@pytest.mark.parametrize("source", ["defects", "defects.json", "expriments/defects.json"])
def test_missing_file_gets_the_nearest_in_experiments(source: str) -> None:
    Path("experiments").mkdir()
    written(MINIMAL, "experiments/defects.json")
    assert refusal(source).endswith("; did you mean experiments/defects.json?")


def test_missing_directory_is_refused() -> None:
    assert refusal("nowhere/photos/").endswith("got a path where there is nothing")


def test_text_that_no_file_system_takes_is_refused() -> None:
    source = written('{"name": "a", "data": {\n"folder": "a\\u0000", "\\ud800": 1}}')
    assert refusal(source).split("\n") == [
        "x.json:2: 'data.folder' must be Unicode text without NUL; got 'a\\x00'",
        "x.json:2: 'data.\\ud800' must be Unicode text without NUL; got '\\ud800'",
    ]


def test_number_beyond_all_bounds_is_refused() -> None:
    source = written('{"name": "a", "data": {"folder": "a", "test_fraction": 1e999}}')
    assert refusal(source) == (
        "x.json:1: data.test_fraction must be a number above 0 and below 1; got Infinity"
    )


def test_python_values_may_be_tuples_and_paths() -> None:
    config = parse_config(
        {"name": "a", "data": {"folder": Path("photos"), "train_per_class": (5, 10)}}
    )
    assert (config.data.folder, config.data.train_per_class) == ("photos", (5, 10))


def test_python_values_of_other_types_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"configuration: must hold JSON types only; got \{1\}"):
        parse_config({**MINIMAL, "seeds": {1}})


def changed(**keys: Any) -> dict[str, Any]:
    return parse_config({**MINIMAL, **keys}).as_dict()


def test_fingerprint_ignores_what_changes_no_number() -> None:
    without_effect = {
        "results_dir": "y",
        "export": False,
        "cache": {"folder": "z"},
        "decision": {"miss_cost": 9},
    }
    same = parse_config({**MINIMAL, "description": "x", **without_effect})
    assert fingerprint(same) == fingerprint(parse_config(MINIMAL))


@pytest.mark.parametrize(
    "keys",
    [{"seeds": 4}, {"training": {"phase_1": {"epochs": 7}}}, {"data": {"folder": "elsewhere"}}],
)
def test_fingerprint_changes_with_what_changes_numbers(keys: dict[str, Any]) -> None:
    assert fingerprint(parse_config({**MINIMAL, **keys})) != fingerprint(parse_config(MINIMAL))


def test_fingerprint_is_the_same_in_another_order_and_with_defaults_written() -> None:
    config = parse_config(MINIMAL)
    reordered = parse_config(dict(reversed(config.as_dict().items())))
    assert fingerprint(reordered) == fingerprint(config)
    assert len(fingerprint(config)) == 12


def test_differences_name_key_old_and_new() -> None:
    new = changed(
        training={"phase_1": {"epochs": 50}},
        fine_tuning={"unfrozen_blocks": [1, "all"]},
        backbone={"weights": None},
        description="x",
        export=False,
    )
    assert differences(changed(), new) == [
        'backbone.weights: "imagenet" -> null',
        "training.phase_1.epochs: 200 -> 50",
        'fine_tuning.unfrozen_blocks: [2, "all"] -> [1, "all"]',
    ]


def test_keys_without_effect_are_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    known = changed()
    for key in files._WITHOUT_EFFECT:
        assert without(known, [key]) != known
    monkeypatch.setattr(files, "_WITHOUT_EFFECT", ("training.phase_1.epochs",))
    one, two = ({"training": {"phase_1": {"epochs": number}}} for number in (3, 4))
    assert fingerprint(parse_config({**MINIMAL, **one})) == fingerprint(
        parse_config({**MINIMAL, **two})
    )
    assert differences(changed(**one), changed(**two)) == []


def test_differences_tell_absent_keys() -> None:
    assert differences({"a": {"b": None}}, {"c": 1}) == [
        "a.b: null -> (absent)",
        "c: (absent) -> 1",
    ]


def test_equal_configurations_do_not_differ() -> None:
    assert differences(changed(), changed()) == []


def nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from nodes(child)


def test_schema_is_plain_json_with_references_that_resolve() -> None:
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"].endswith("2020-12/schema")
    references = {node["$ref"] for node in nodes(schema) if "$ref" in node}
    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}


def test_every_key_of_the_schema_is_described_and_only_two_are_required() -> None:
    schema = json_schema()
    objects = [schema, *schema["$defs"].values()]
    described = [
        (key, "description" in child or "$ref" in child)
        for node in objects
        for key, child in node["properties"].items()
    ]
    assert [key for key, is_described in described if not is_described] == []
    assert [node["description"] for node in objects]
    assert [key for node in objects for key in node.get("required", [])] == ["name", "data"]


def test_schema_holds_ranges_and_defaults() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["TrainingConfig"]["properties"]["batch_size"] == {
        "default": 32,
        "description": "Images per training step.",
        "maximum": 4096,
        "minimum": 1,
        "title": "Batch Size",
        "type": "integer",
    }
    names = definitions["BackboneConfig"]["properties"]["name"]["anyOf"][0]["examples"]
    assert "MobileNetV2" in names


def test_bad_file_is_refused_before_heavy_imports() -> None:
    source = written({**MINIMAL, "seeds": 0})
    program = (
        "import sys\n"
        "from tl_keras.config.files import load_config\n"
        "from tl_keras.errors import ConfigError\n"
        "try:\n"
        f"    load_config({source!r})\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
        "print(sorted({'tensorflow', 'keras', 'pandas', 'numpy', 'sklearn'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
    )
    assert result.stdout.split("\n")[:2] == [
        "x.json:1: seeds must be a whole number from 1 to 100; got 0",
        "[]",
    ]


def test_a_key_that_is_gone_is_read_from_stored_files_where_it_did_nothing() -> None:
    plain = {"name": "parts", "data": {"folder": "photos"}}
    stored = parse_config({**plain, "training": {"augmented_views": 0}})
    assert stored == parse_config(plain)
    with pytest.raises(ConfigError, match="augmented_views"):
        parse_config({**plain, "training": {"augmented_views": 8}})


@pytest.mark.parametrize("depth", [60, 300, 900, 100_000])
def test_nesting_has_a_limit_at_every_door(depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    assert "nested" in refusal(written('{"a":' + "[" * depth + "]" * depth + "}"))
    assert "whole number" in refusal(written(MINIMAL), f"seeds={'[' * depth}{']' * depth}")
    with pytest.raises(ConfigError, match=r"nested|recursion"):
        parse_config({**MINIMAL, "seeds": deep})


@pytest.mark.parametrize("source", ["a" * 5000, "a/" * 5000, "a" * 300, "a\0b", "\udc80" * 300])
def test_a_path_that_cannot_be_is_refused_in_few_words(source: str) -> None:
    message = refusal(source)
    assert "must be an experiment file" in message
    assert len(message) < 600


@pytest.mark.parametrize("override", ["x" * 5000, "x" * 5000 + "=1", "seeds=" + "9" * 5000])
def test_a_long_override_is_refused_in_few_words(override: str) -> None:
    message = refusal(written(MINIMAL), override)
    assert len(message) < 1500


def test_many_overrides_that_are_none_are_counted() -> None:
    lines = refusal(written(MINIMAL), *[f"none{n}=1" for n in range(300)]).split("\n")
    assert lines[-1] == "... and 290 more like these"


@pytest.mark.parametrize("name", ["parts.csv", "parts.CSV", "parts.parquet", "parts.tsv"])
def test_a_table_is_run_with_the_defaults_under_its_name(name: str) -> None:
    config = load_config(written(b"path,label\n", name), ["seeds=1"])
    assert config == parse_config({"name": "parts", "data": {"table": name}, "seeds": 1})


def test_the_results_of_an_experiment_are_no_images() -> None:
    Path("results/parts/runs").mkdir(parents=True)
    written(MINIMAL, "results/parts/config.json")
    message = refusal("results/parts")
    assert "results/parts/config.json" in message
    assert load_config("results/parts/config.json").name == "parts"


def test_a_photo_folder_may_hold_a_file_of_that_name() -> None:
    Path("photos/crack").mkdir(parents=True)
    written(MINIMAL, "photos/config.json")
    assert load_config("photos").data.folder == "photos"


def test_results_that_were_renamed_do_not_begin_anew(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    text = {"name": "parts", "data": {"folder": "photos"}, "results_dir": str(tmp_path)}
    (folder / "config.json").write_text(json.dumps(text))
    (folder / "environment.json").write_text("{}")
    assert load_config(folder / "config.json").name == "parts"
    renamed = folder.rename(tmp_path / "other") / "config.json"
    with pytest.raises(ConfigError, match=r"parts.*other.*Rename it back"):
        load_config(renamed)
    assert load_config(renamed, ["name=other"]).name == "other"
    assert load_config(renamed, ["results_dir=again"]).name == "parts"


@pytest.mark.parametrize(
    ("name", "what_to_do"),
    [("parts.xlsx", "as CSV"), ("Parts.ODS", "as CSV"), ("a.JPG", "folder"), ("a.zip", "Unpack")],
)
def test_what_is_no_set_of_photos_is_told_what_to_do(
    tmp_path: Path, name: str, what_to_do: str
) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match=what_to_do):
        load_config(tmp_path / name)
