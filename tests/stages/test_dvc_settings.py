"""The printed settings of `dvc exp run` give the params that the options gave."""

import shlex
import sys
from pathlib import Path

import pytest
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from pipeline.params import Params
from pipeline.params.file import load_params, override
from pipeline.params.text import params_text
from stages.dvc_settings import InexpressibleError, dvc_settings

ROOT = Path(__file__).parents[2]
NASTY_TEXTS = [
    "#000000",
    "fate_(series)",
    "1e5",
    "2019",
    "null",
    "True",
    "re:zero",
    "steins;gate",
    "a=b",
    "{a}",
    "it's",
    'say "x"',
    "back\\slash",
    "back\\",
    '\\"',
    "~",
    "日本",
    "two words",
    "${oc.env:HOME}",
    "\\${x}",
    ">_<",
    "-S",
    "http://127.0.0.1:80/a?b=1&c=$d",
]


def applied(path: Path, settings: str) -> None:
    """Change a params file as `dvc exp run` does with these options."""
    arguments = shlex.split(settings)
    assert arguments[::2] == ["-S"] * (len(arguments) // 2)
    (sweep,) = get_hydra_sweeps(to_path_overrides(arguments[1::2]))
    apply_overrides(path, sweep["params.yaml"])


def reproduced(path: Path, section: str, texts: dict[str, str]) -> bool:
    before = getattr(load_params(path), section)
    after = override(before, texts)
    applied(path, dvc_settings(before, after, section, texts))
    return bool(getattr(load_params(path), section) == after)


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(params_text(Params()), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("section", "texts"),
    [
        ("resize", {"background": "#000000"}),
        ("scrape", {"tags": "fate_(series),re:zero", "excluded_tags": ""}),
        ("scrape", {"tags": " [1girl, 'a, b']", "contact": ""}),
        ("scrape", {"site": "file:///a(b)/it's", "api_interval": "1e-05"}),
        ("train", {"content_layers": "conv2_1, conv3_1", "turns": "true", "lr": "1e-5"}),
        ("train", {"steps": "null", "vgg": "null", "init": "C:\\models\\a b.safetensors"}),
        ("train", {"generator.kind": "rcan", "generator.groups": "2", "adv_weight": "0"}),
    ],
)
def test_the_settings_give_the_same_params(
    params_file: Path, section: str, texts: dict[str, str]
) -> None:
    assert reproduced(params_file, section, texts)


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_any_text_arrives_as_it_is(params_file: Path, text: str) -> None:
    assert reproduced(params_file, "scrape", {"contact": text})
    before = load_params(params_file).scrape
    after = before.model_copy(update={"tags": (text, text + "_")})
    applied(params_file, dvc_settings(before, after, "scrape", ["tags"]))
    assert load_params(params_file).scrape.tags == (text, text + "_")


def test_an_address_is_quoted_without_the_memory_of_hydra(
    params_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hydra.core.override_parser.types", None)
    before = load_params(params_file).scrape
    after = override(before, {"site": "http://127.0.0.1:80"})
    settings = dvc_settings(before, after, "scrape", ["site"])
    assert settings == "-S 'scrape.site=\"http://127.0.0.1:80\"'"


def test_names_that_the_option_leaves_out_are_removed(params_file: Path) -> None:
    models = {"models": "old=a.safetensors,kept=b.safetensors"}
    assert reproduced(params_file, "evaluate", models)
    assert reproduced(params_file, "evaluate", {"models": "kept=c d.safetensors,4x+y-Z=e"})


@pytest.mark.parametrize("name", ["日本", "4", "1e5"])
def test_a_name_that_hydra_cannot_hold_is_told(params_file: Path, name: str) -> None:
    before = load_params(params_file).evaluate
    after = override(before, {"models": f"{{'{name}': a}}"})
    with pytest.raises(InexpressibleError, match=name):
        dvc_settings(before, after, "evaluate", ["models"])
