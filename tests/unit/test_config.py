"""Configuration files: what is read, and what is said about each mistake."""

import re
import time
from pathlib import Path
from typing import Annotated, get_args, get_origin
from unicodedata import category

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reann.config import Config, GroupSplit, PlateauSchedule
from reann.config.fields import alternatives, annotation, field_at, field_paths
from reann.config.file import anchored, load_config, save_config
from reann.errors import UserError


def kinds(kind):
    """Return the plain types that a field may hold."""
    return [get_args(one)[0] if get_origin(one) is Annotated else one for one in alternatives(kind)]


TWO_LINES = "data:\n  train: water.xyz\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes `water.yaml` in the working folder."""
    monkeypatch.chdir(tmp_path)

    def _write(text, name="water.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def message(path, *overrides):
    with pytest.raises(UserError) as caught:
        load_config(path, overrides)
    text = str(caught.value)
    for noise in ("pydantic", "constrained", "literal[", "Input should", "function-", "IndexSplit"):
        assert noise not in text
    return text


def test_two_lines_are_a_complete_configuration(write):
    config = load_config(write(TWO_LINES))
    assert config.data.train == "water.xyz"
    assert config.model == Config(data={"train": "a"}).model
    assert str(config.run.folder) == "runs/water"


def test_a_folder_in_the_file_is_kept(write):
    config = load_config(write(TWO_LINES + "run: {folder: elsewhere}\n"))
    assert str(config.run.folder) == "elsewhere"


def test_a_section_with_all_its_fields_commented_out_has_the_defaults(write):
    assert load_config(write(TWO_LINES + "model:\n#  cutoff: 4\n")).model.cutoff == 5.0


def test_numbers_are_read_as_people_write_them_and_words_stay_words(write):
    text = "data: {train: a, keys: {energy: NO}, reference_energies: {No: 1e-3, Y: 2}}\n"
    config = load_config(write(text + "training: {learning_rate: 1e-3}\n"))
    assert config.training.learning_rate == 1e-3
    assert config.data.keys.energy == "NO"
    assert config.data.reference_energies == {"No": 1e-3, "Y": 2.0}


# --- paths ------------------------------------------------------------------------------------


def test_data_are_looked_up_in_the_working_folder_first_then_beside_the_file(write, tmp_path):
    path = write("data: {train: a.xyz, valid: b.xyz, test: [c.xyz]}", "sub/run.yaml")
    for file in ("a.xyz", "sub/a.xyz", "sub/b.xyz"):
        (tmp_path / file).touch()
    data = load_config(path).data
    assert data.train == str(tmp_path / "a.xyz")
    assert data.valid == str(tmp_path / "sub/b.xyz")
    assert data.test == ["c.xyz"], "what does not exist is left for the reader to report"


def test_globs_and_index_files_are_looked_up_beside_the_file(write, tmp_path):
    path = write("data: {train: 'part*.xyz', valid: {indices: ids.txt}}", "sub/run.yaml")
    for file in ("sub/part1.xyz", "sub/ids.txt"):
        (tmp_path / file).touch()
    data = load_config(path).data
    assert data.train == str(tmp_path / "sub/part*.xyz")
    assert data.valid.indices == tmp_path / "sub/ids.txt"


def test_anchoring_twice_changes_nothing_more(write, tmp_path):
    write("", "a.xyz")
    once = anchored(Config(data={"train": "a.xyz"}))
    assert once.data.train == str(tmp_path / "a.xyz")
    assert anchored(once, "elsewhere") == once


# --- overrides --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.epochs=20", 20),
        ("training.clip=null", None),
        ("model.readout.hidden=[8, 8]", [8, 8]),
        ("data.reference_energies.H=-13.6", {"H": -13.6}),
        ("data.train=[a.xyz, b.xyz]", ["a.xyz", "b.xyz"]),
        ("run.device=cuda", "cuda"),
        ("run.device='cuda #1'", "cuda #1"),
        ("run.device=cuda#1", "cuda#1"),
    ],
)
def test_an_override_replaces_the_value_of_the_file(write, override, value):
    config = load_config(write(TWO_LINES + "training: {epochs: 3, clip: 2}\n"), [override])
    found = config
    for name in override.partition("=")[0].split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    assert found == (value["H"] if isinstance(value, dict) else value)


def test_an_override_inside_a_section_keeps_the_rest_of_the_section(write):
    config = load_config(write(TWO_LINES + "model: {cutoff: 4}\n"), ["model.l_max=1"])
    assert (config.model.cutoff, config.model.l_max) == (4.0, 1)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epoch=3", "Did you mean 'epochs'?"),
        ("epochs=20", "Did you mean 'training.epochs'?"),
        ("trainig.epochs=3", "Did you mean 'training'?"),
        ("training.loss.energie=3", "Did you mean 'energy'?"),
        ("data.valid.index=3", "Did you mean 'indices'?"),
        ("epochs", "is not an override"),
        ("data.train=[a", "is not valid YAML"),
        ("run.folder=run #2", "YAML ignores '#2'"),
        ("run.folder=#2", "YAML ignores '#2'"),
        ("data.train=[a, b] # both", "YAML ignores '# both'"),
    ],
)
def test_a_wrong_override_is_named_with_a_suggestion(write, override, said):
    text = message(write(TWO_LINES), override)
    assert said in text
    assert "command line" in text


def test_a_wrong_value_on_the_command_line_is_not_blamed_on_the_file(write):
    text = message(write(TWO_LINES + "training: {epochs: 3}\n"), "training.epochs=many")
    assert "command line: training.epochs=many" in text
    assert "water.yaml" not in text


# --- mistakes ---------------------------------------------------------------------------------


def test_a_typo_is_named_with_its_line_and_a_suggestion(write):
    text = message(write(TWO_LINES + "training:\n  lerning_rate: 1e-3\n"))
    assert "'lerning_rate'" in text
    assert "water.yaml, line 4" in text
    assert "Did you mean 'learning_rate'?" in text


@pytest.mark.parametrize(
    ("field", "suggestion"),
    [
        ("nipsin: 2", "model.l_max"),
        ("epochs: 2", "training.epochs"),
        ("dta: 3", "data"),
    ],
)
def test_a_field_in_the_wrong_place_is_sent_to_the_right_one(write, field, suggestion):
    assert f"Did you mean '{suggestion}'?" in message(write(TWO_LINES + field + "\n"))


@pytest.mark.parametrize(
    ("lines", "said", "allowed"),
    [
        ("training:\n  epochs: 1.5", "training.epochs cannot be 1.5", "whole number of at least 1"),
        ("training:\n  epochs: many", "cannot be 'many'", "whole number of at least 1"),
        ("training:\n  batch_size: 0", "training.batch_size cannot be 0", "auto"),
        ("model:\n  l_max: 9", "model.l_max cannot be 9", "at most 4"),
        ("model:\n  cutoff: -1", "model.cutoff cannot be -1", "a number of at least 0.1"),
        ("model:\n  cutoff: true", "model.cutoff cannot be true", "a number of at least 0.1"),
        (
            "model:\n  messages: scalar\n  features: grams",
            "Did you mean 'gram'?",
            "gram, many_body, orbitals",
        ),
        ("model:\n  zbl: {inner: 2}", "inner 2.0 must be below outer 0.7", "Change one"),
        ("model:\n  readout: {hidden: []}", "model.readout.hidden cannot be []", "a list of"),
        ("training:\n  schedule: cosine", "Did you mean {name: cosine}?", "{name: plateau}"),
        ("training:\n  schedule: {name: cosin}", "Did you mean 'cosine'?", "{name: plateau}"),
        ("training:\n  schedule: {final: 0.1}", "training.schedule cannot be", "{name: plateau}"),
        ("training:\n  loss:", "training.loss cannot be empty", "{energy: "),
        ("model: 3", "model cannot be 3", "{preset: "),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_what_is_allowed(write, lines, said, allowed):
    text = message(write(TWO_LINES + lines + "\n"))
    assert said in text
    assert allowed in text
    assert re.search(rf"line {2 + len(lines.splitlines())}\b", text)


@pytest.mark.parametrize("value", ["1.5", "[1, 2]", "true", "{}", "{name: x}"])
def test_a_wrong_validation_part_is_one_mistake_with_all_that_it_can_be(write, value):
    text = message(write(TWO_LINES + f"  valid: {value}\n"))
    assert text.count("data.valid cannot be") == 1
    assert "above 0 and below 1" in text
    assert "{indices: …}" in text
    assert "line 3" in text


def test_a_mistake_inside_one_kind_of_validation_part_does_not_mention_the_others(write):
    text = message(write(TWO_LINES + "  valid: {indicies: [1]}\n"))
    assert "'data.valid' has no field 'indicies'. Did you mean 'indices'?" in text
    assert "groups" not in text
    text = message(write(TWO_LINES + "  valid:\n    groups: [1]\n"))
    assert "data.valid.groups cannot be [1]" in text
    assert "indices" not in text


def test_the_fields_of_a_schedule_are_those_of_its_name(write):
    text = message(write(TWO_LINES + "training:\n  schedule:\n    name: plateau\n    final: 1\n"))
    assert "'training.schedule' has no field 'final'" in text
    assert "Did you mean" not in text
    assert "name, factor, patience, minimum" in text
    assert "line 6" in text


def test_all_mistakes_are_listed_at_once_in_the_order_of_the_file(write):
    text = message(
        write("training:\n  epochs: x\nmodel:\n  cutof: 3\ndata:\n  train: a\n  valid: 2\n")
    )
    assert "3 mistakes" in text
    assert text.index("line 2:") < text.index("line 4:") < text.index("line 7:")


@pytest.mark.parametrize("text", ["data:\n", "model: {cutoff: 3}\n"])
def test_missing_training_data_are_asked_for(write, text):
    assert "data.train is missing" in message(write(text))


def test_a_misspelled_field_is_not_reported_as_missing_too(write):
    text = message(write("data:\n  trian: a.xyz\n"))
    assert "Did you mean 'train'?" in text
    assert "is missing" not in text


# --- files that are no configuration ----------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- a\n- b\n", "a list, not a configuration"),
        ("data:train\n", "a single value, not a configuration"),
        ("data:\n\ttrain: a\n", "does not allow tabs"),
        ("data:\n  train: [a\n", "line 3"),
        ("data: {train: a}\nmodel: {}\ndata: {train: b}\n", "twice, on lines 1 and 3"),
        ("data: &a\n  train: *a\n", "an alias contains itself"),
        ("data: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        (b"data:\n  train: \xff.xyz\n", "not UTF-8 text: byte 0xff"),
        (b"\x89PNG\x00\x00", "not UTF-8"),
        (b"data: \x00\x01", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_the_reason(write, content, said):
    text = message(write(content))
    assert said in text
    assert "water.yaml" in text


def test_a_byte_order_mark_is_no_mistake(write):
    assert load_config(write(b"\xef\xbb\xbf" + TWO_LINES.encode())).data.train == "water.xyz"


def test_an_absent_file_is_named_with_the_closest_one(write, tmp_path):
    write(TWO_LINES)
    assert "Did you mean 'water.yaml'?" in message(tmp_path / "watr.yaml")
    assert "reann new" in message(tmp_path / "nowhere" / "a.yaml")


def test_a_folder_or_a_data_file_in_place_of_a_configuration_is_noticed(write, tmp_path):
    assert f"reann resume {tmp_path}" in message(tmp_path)
    assert "reann new config.yaml --from" in message(write("1\n\nH 0 0 0\n", "train.xyz"))


# --- hostile files ----------------------------------------------------------------------------


def doubling(levels: int, merge: bool) -> str:
    """Return lines in which every alias has the one before it twice."""
    pair = "{{<<: [*a{0}, *a{0}]}}" if merge else "[*a{0}, *a{0}]"
    lines = ["a0: &a0 " + ("{x: 1}" if merge else "[1]")]
    lines += [f"a{i}: &a{i} {pair.format(i - 1)}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("merge", [True, False])
def test_aliases_that_repeat_without_end_are_refused_at_once(write, merge):
    start = time.process_time()
    assert "aliases repeat more than 10000" in message(write(doubling(40, merge) + TWO_LINES))
    text = doubling(40, merge).replace("\n", ", ").rstrip(", ")
    assert "is not valid YAML" in message(write(TWO_LINES), f"model={{{text}}}")
    assert time.process_time() - start < 1.0


def test_a_few_aliases_are_read(write):
    text = "model: {readout: &a {hidden: [8, 8]}, update: *a, zbl: {<<: {inner: 0.2}, outer: 0.5}}"
    model = load_config(write(TWO_LINES + text)).model
    assert model.readout == model.update
    assert (model.zbl.inner, model.zbl.outer) == (0.2, 0.5)


def test_an_override_does_not_change_what_an_alias_repeats(write):
    file = write(TWO_LINES + "model: {readout: &a {hidden: [8, 8]}, update: *a}")
    model = load_config(file, ["model.readout.hidden=[4, 4]"]).model
    assert (model.readout.hidden, model.update.hidden) == ([4, 4], [8, 8])


@pytest.mark.parametrize("value", ["[" * 300, "[" * 300 + "]" * 300, "{a: " * 300 + "}" * 300])
def test_deep_nesting_is_refused(write, value):
    assert "YAML" in message(write(TWO_LINES + f"model: {value}"))
    assert "is not valid YAML" in message(write(TWO_LINES), f"model={value}")


def test_a_file_that_does_not_end_is_refused(tmp_path):
    assert "larger than 16 MiB" in message(Path("/dev/zero"))


NUMBERS = sorted(
    ".".join(path)
    for path in field_paths(Config)
    if {int, float} & set(kinds(annotation(field_at(path))))
)


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "1e999", "1" + "0" * 400, "-1e-300"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_cannot_be_is_refused_in_every_field(write, name, value):
    prefix = "training.schedule={name: %s, %s: %s}"
    if name.startswith("training.schedule."):
        field = name.rpartition(".")[2]
        kind = "plateau" if field in PlateauSchedule.model_fields else "cosine"
        override = prefix % (kind, field, value)
    else:
        override = f"{name}={value}"
    text = message(write(TWO_LINES), "model.preset=density", override)
    assert f"{name} cannot be" in text
    assert "command line" in text


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("run.seed=-1", "at least 0 and at most 4294967295"),
        ("run.seeds=100000", "at most 1000"),
        ("run.threads=1000000", "at most 4096"),
        ("model.n_radial=1000000", "at most 1000"),
        ("model.cutoff=1000", "at most 100"),
        ("model.readout.hidden=[1000000, 64]", "at most 10000"),
        ("training.epochs=10000000000", "at most 1000000000"),
        ("data.reference_energies={H: .nan}", "a mapping of names to numbers"),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(write, override, allowed):
    assert allowed in message(write(TWO_LINES), override)


@pytest.mark.parametrize("character", ["\\n", "\\0", "\\e", "\\x7f", "\\x85"])
@pytest.mark.parametrize(
    "text",
    [
        'data: {train: "a%sb.xyz"}',
        'data: {train: [x, "a%sb.xyz"]}',
        'data: {train: a, valid: {indices: "a%sb"}}',
        'data: {train: a, keys: {energy: "a%sb"}}',
        'data: {train: a}\nrun: {folder: "a%sb"}',
        'data: {train: a, "a%sb": 1}',
    ],
)
def test_a_control_character_is_refused_in_every_text_and_shown_escaped(write, text, character):
    said = message(write(text % character))
    assert "control character" in said
    assert not set("\0\x1b\x7f\x85") & set(said)


def test_a_name_that_is_not_unicode_is_refused(write):
    assert "'data.train=\\udcff.xyz' is not valid YAML" in message(
        write(TWO_LINES), "data.train=\udcff.xyz"
    )


def test_a_field_that_is_there_twice_in_an_override_is_refused(write):
    text = message(write(TWO_LINES), "model={cutoff: 4, cutoff: 5}")
    assert "The field 'cutoff' appears twice" in text


@pytest.mark.parametrize("value", ["9" * 5000, "{x: " + "9" * 5000 + "}"])
def test_a_number_of_thousands_of_digits_is_refused(write, value):
    assert "YAML" in message(write(TWO_LINES + f"model: {value}"))
    assert "is not valid YAML" in message(write(TWO_LINES), f"training.epochs={value}")


@pytest.mark.parametrize("name", ["a" * 300, "/".join(["a" * 200] * 30)])
def test_a_name_that_is_too_long_is_refused(write, name):
    assert "too long" in message(Path(name))
    # A file of structures is looked up when it is read.
    assert load_config(write(TWO_LINES), [f"data.train={name}"]).data.train == name


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("data.keys.energy: E\n", "Write  data: {keys: {energy: …}}"),
        ("data:\n  train: a.xyz\n  keys.energy: E\n", "Write  keys: {energy: …}"),
        ("model.cutoff: 4\n", "model.cutoff=… on the command line"),
    ],
)
def test_a_dotted_name_in_a_file_is_answered_with_the_nested_form(write, text, fix):
    given = message(write(text))
    assert "dotted names work on the command line only" in given
    assert fix in given


@pytest.mark.parametrize("home", ["~", "~nobody-of-this-name"])
def test_a_tilde_is_the_home_folder_in_every_path(write, tmp_path, monkeypatch, home):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("a.xyz", "b.xyz", "i.txt"):
        (tmp_path / "home" / name).touch()
    text = """
        data: {train: ~/a.xyz, valid: [~/b.xyz], test: {indices: ~/i.txt}, cache: ~/c}
        run: {folder: ~/r}
    """
    config = load_config(write(text.replace("~", home)))
    data = config.data
    paths = [data.train, data.valid[0], data.test.indices, data.cache, config.run.folder]
    base = tmp_path / "home" if home == "~" else Path(home)
    assert [str(p) for p in paths] == [
        str(base / name) for name in ("a.xyz", "b.xyz", "i.txt", "c", "r")
    ]


# --- writing ----------------------------------------------------------------------------------


printable = st.text().map(lambda text: "".join(c for c in text if category(c) != "Cc"))
configurations = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"train": printable.map(lambda text: f"nowhere/{text}.xyz")},
            optional={
                "valid": st.floats(0.01, 0.99)
                | st.sampled_from(["1e-3", "0.1", "no", "null", "~x"])
                | st.fixed_dictionaries({"indices": st.lists(st.integers(0, 9))})
                | st.fixed_dictionaries({"groups": st.lists(printable)}),
                "reference_energies": st.just("isolated")
                | st.dictionaries(st.sampled_from(["H", "No", "Y"]), st.floats(-1e5, 1e5)),
            },
        ),
        "model": st.fixed_dictionaries(
            {}, optional={"preset": st.just("upstream"), "zbl": st.just({})}
        ),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "schedule": st.fixed_dictionaries({"name": st.sampled_from(["cosine", "plateau"])}),
                "clip": st.none() | st.floats(1e-300, 1e300),
            },
        ),
        "run": st.fixed_dictionaries({}, optional={"folder": st.sampled_from(["runs/ä b", "1"])}),
    }
)


@given(configurations)
def test_a_saved_configuration_reads_back_equal(tmp_path_factory, values):
    config = Config.model_validate(values)
    path = tmp_path_factory.mktemp("saved") / "config.yaml"
    save_config(config, path, {"reann": "0.1.0", "torch": "2.13.0"})
    assert load_config(path) == config
    assert path.read_text(encoding="utf-8").startswith("# reann 0.1.0\n# torch 2.13.0\n")


def test_a_saved_configuration_states_every_field(tmp_path):
    save_config(Config(data={"train": "a"}), tmp_path / "config.yaml", {})
    values = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert set(values["model"]) == set(Config.model_fields["model"].annotation.model_fields)
    assert values["training"]["loss"]["energy_emphasis"] == 20.0


def test_a_key_that_is_not_used_stays_apart_from_one_to_be_found(tmp_path):
    config = Config(data={"train": "a", "keys": {"forces": None, "energy": "E"}})
    save_config(config, tmp_path / "config.yaml", {})
    keys = load_config(tmp_path / "config.yaml").data.keys
    assert keys.model_fields_set == {"forces", "energy"}


def test_a_configuration_that_cannot_be_written_is_an_error_of_the_user():
    with pytest.raises(UserError, match="could not be written"):
        save_config(Config(data={"train": "a"}), Path("/dev/null/config.yaml"), {})


# --- the settings themselves ------------------------------------------------------------------


def test_every_field_is_documented():
    def undocumented(section):
        return [name for name, field in section.model_fields.items() if not field.description]

    for name, field in Config.model_fields.items():
        assert not undocumented(field.annotation), name
    assert ("model", "zbl", "inner") in set(field_paths(Config))


def test_own_fields_take_precedence_over_a_preset():
    model = Config(data={"train": "a"}, model={"preset": "upstream", "angular": "unit"}).model
    assert (model.features, model.angular) == ("orbitals", "unit")


def test_a_configuration_cannot_be_changed_by_accident():
    config = Config(data={"train": "a"})
    with pytest.raises(ValidationError):
        config.data = None


RESOLVED = {
    "training.schedule.name=plateau": ("training", "schedule", PlateauSchedule()),
    "data.valid.groups=0.2": ("data", "valid", GroupSplit(groups=0.2)),
}


@pytest.mark.parametrize("override", RESOLVED)
def test_an_override_that_chooses_a_section_replaces_the_fields_of_the_other(write, override):
    section, name, expected = RESOLVED[override]
    file = write("data: {train: a.xyz, valid: {indices: [1]}}\n")
    save_config(load_config(file), file, {"reann": "1"})
    assert getattr(getattr(load_config(file, [override]), section), name) == expected


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.schedule.name=plateu"],
        ["training.schedule.name=plateau", "training.schedule.warmup=0.1"],
    ],
)
def test_a_wrong_choice_of_a_section_is_an_error(write, overrides):
    file = write(TWO_LINES)
    save_config(load_config(file), file, {"reann": "1"})
    with pytest.raises(UserError, match=r"training\.schedule"):
        load_config(file, overrides)


@pytest.mark.parametrize(
    ("override", "patience"),
    [("training.schedule={name: plateau, patience: 3}", 3), ("training.patience=4", 20)],
)
def test_overrides_of_other_fields_leave_a_section_as_it_is(write, override, patience):
    file = write("data: {train: a.xyz}\ntraining: {schedule: {name: plateau}}\n")
    assert load_config(file, [override]).training.schedule == PlateauSchedule(patience=patience)


# --- sources ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (
            "{files: b, wieght: 2}",
            ["line 3: The section 'data.sources.0' has no field 'wieght'. Did"],
        ),
        ("{units: {energy: eV}}", ["line 3: data.sources.0.files is missing", "Write  {files: …}"]),
        ("{files: b}\n  - {files: 3}", ["line 4: data.sources.1.files cannot be 3"]),
        ("{files: b, weight: -1}", ["data.sources.0.weight cannot be -1", "at least 0"]),
        ("{files: b, weight: true}", ["data.sources.0.weight cannot be true"]),
        ("{files: b, units: {enrgy: eV}}", ["'data.sources.0.units' has no field 'enrgy'"]),
        (
            "{files: b, head: x, keys: {head: y}}",
            ["data.sources.0: a source has both head and keys.head"],
        ),
        ("{files: b, files: c}", ["'data.sources.0.files' appears twice"]),
        ('{files: "b\\u0007"}', ["data.sources.0.files contains the control character"]),
        ("b", ["data.sources cannot be ['b']", "a list of {files"]),
    ],
)
def test_a_mistake_in_a_source_is_said_with_its_field_and_line(write, sources, expected):
    text = message(write(f"data:\n  sources:\n  - {sources}\nmodel: {{cutof: 3}}\n"))
    if "twice" not in expected[0]:
        assert "line" in text
    for words in expected:
        assert words.partition(": ")[2] in text if words.startswith("line") else words in text


def test_the_training_files_are_named_in_one_way(write):
    both = message(write("data: {train: a, sources: [{files: b}]}\n"))
    assert "train and sources are both set" in both
    assert "List all files in one of them" in both
    for nothing in ("data: {train: null}\n", "data: {valid: 0.1}\n"):
        assert "data.train is missing" in message(write(nothing))
    assert "data.sources cannot be []" in message(write("data: {sources: []}\n"))


def test_overrides_reach_into_sources_and_replace_the_other_way_to_name_files(write):
    path = write("data: {sources: [{files: b}, {files: c}]}\n")
    config = load_config(path, ["data.sources.1.weight=2", "data.sources.1.units.energy=meV"])
    assert [source.weight for source in config.data.sources] == [1.0, 2.0]
    assert config.data.sources[1].units.energy == "meV"
    assert load_config(path, ["data.train=z"]).data.sources is None
    assert (
        load_config(write(TWO_LINES, "two.yaml"), ["data.sources=[{files: q}]"]).data.train is None
    )
    assert "There is no 'data.sources.2' to set" in message(path, "data.sources.2.weight=2")
    assert "data.sources.1.wieght=3" in message(path, "data.sources.1.wieght=3")


def test_sources_have_the_fields_of_data_that_they_do_not_set_and_are_saved_as_given(write):
    path = write(
        "data:\n  keys: {energy: E, head: h}\n  units: {length: nm}\n  sources:\n"
        "  - {files: b, keys: {forces: null}, units: {energy: meV}}\n  - {files: c, head: x}\n"
    )
    config = load_config(path)
    first, second = config.data.all_sources()
    assert first.keys.model_dump(exclude_unset=True) == {"energy": "E", "head": "h", "forces": None}
    assert first.units.model_dump(exclude_unset=True) == {"length": "nm", "energy": "meV"}
    assert second.keys.model_dump(exclude_unset=True) == {"energy": "E", "head": None}
    save_config(config, path, {})
    again = load_config(path)
    assert again == config
    assert again.data.all_sources()[0].keys.model_fields_set == {"energy", "head", "forces"}
