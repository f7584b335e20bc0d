"""`pipeline recipe`: settings that DVC and the params take."""

import shlex
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from pipeline.params import Params
from pipeline.params.file import load_params, with_changes
from pipeline.params.text import params_text
from stages.commands.recipe import load_recipe, names, settings_of
from stages.project import SETTINGS_OF_PAIRS, create_project
from tests.stages.program import pipeline


def apply(name: str, path: Path) -> Params:
    """The params that DVC makes of a file and a recipe."""
    settings = shlex.split(settings_of(load_recipe(name), load_params(path)))
    apply_overrides(path, [setting for setting in settings if setting != "-S"])
    return load_params(path)


@pytest.mark.parametrize("name", names())
def test_dvc_makes_the_params_of_a_recipe(name: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(params_text(Params()))
    assert apply(name, path) == with_changes(Params(), load_recipe(name).params)


# The one with another kind of generator takes the file with defaults alone.
OF_ONE_KIND = [name for name in names() if name != "esrgan"]


@pytest.mark.parametrize("first", OF_ONE_KIND)
@pytest.mark.parametrize("second", OF_ONE_KIND)
def test_nothing_of_the_training_stays_from_the_recipe_before(
    first: str, second: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(params_text(with_changes(Params(), {"train": {"device": "cpu"}})))
    apply(first, path)
    expected = with_changes(Params(), load_recipe(second).params)
    after = apply(second, path)
    assert after.train == expected.train.model_copy(update={"device": "cpu"})
    assert (after.resize, after.evaluate) == (expected.resize, expected.evaluate)


def test_a_recipe_that_contradicts_the_file_is_one_line(tmp_path: Path) -> None:
    text = "train:\n  generator: {kind: rcan, groups: 2}\n"
    (tmp_path / "params.yaml").write_text(text)
    result = pipeline(tmp_path, "recipe", "best", "--dry-run")
    problem = "train.generator.groups: srresnet has none; remove it, or choose another kind\n"
    assert (result.code, result.err) == (2, problem)


def test_mappings_of_the_file_do_not_stay(tmp_path: Path) -> None:
    """What only the file's damage, and only its large crops, allow."""
    path = tmp_path / "params.yaml"
    own = {
        "degradation": "heavy",
        "degradation_strengths": {"noise_prob": 0.3},
        "extra_losses": {"ms_ssim": 1.0},
    }
    path.write_text(params_text(with_changes(Params(), {"train": own})))
    result = pipeline(tmp_path, "recipe", "evening", "--dry-run")
    assert (result.code, result.err) == (0, "")
    train = apply("evening", path).train
    assert (train.degradation_strengths, train.extra_losses) == ({}, {})


def test_recipes_are_listed_and_described(tmp_path: Path) -> None:
    listed = pipeline(tmp_path, "recipe")
    assert [line.split()[0] for line in listed.out.splitlines()] == names()
    (tmp_path / "params.yaml").write_text("{}")
    described = pipeline(tmp_path, "recipe", "article", "--dry-run")
    assert (described.code, described.err) == (0, "")
    assert described.out.splitlines()[-1] == (
        "dvc exp run -S ++train.generator.norm=batch -S ++train.generator.skip=none "
        "-S train.pretrain_steps=0"
    )


def test_a_recipe_takes_other_values(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    other = ("-S", "train.steps=20", "-S", "scrape.site=file:///my%20pictures")
    described = pipeline(tmp_path, "recipe", "own", *other, "--dry-run")
    assert (described.code, described.err) == (0, "")
    command = described.out.splitlines()[-1]
    assert command.endswith("-S train.steps=20 -S scrape.site=file:///my%20pictures")
    path = tmp_path / "params.yaml"
    path.write_text(params_text(Params()))
    apply_overrides(path, [word for word in shlex.split(command)[3:] if word != "-S"])
    params = load_params(path)
    assert (params.train.steps, params.scrape.site) == (20, "file:///my%20pictures")


def test_an_unknown_recipe_names_the_known(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "recipe", "best-of-all")
    assert (result.code, result.err) == (
        2,
        f"recipe best-of-all: unknown; there are {', '.join(names())}\n",
    )


def test_a_recipe_trains_on_the_folders_of_the_project(tmp_path: Path) -> None:
    create_project(tmp_path / "mine", SETTINGS_OF_PAIRS, "A new project", of_pairs=True)
    before = load_params(tmp_path / "mine/params.yaml")
    for name in names():
        settings = settings_of(load_recipe(name), before)
        assert not any(word in settings for word in ("folder", "val_"))
