"""One plane of many experiments: labels, curves, equal points."""

import pytest

from pipeline.errors import UsageError
from pipeline.evaluation.tradeoff import Experiment, tradeoff_plane


def experiment(name: str, rmse: float, **params: object) -> Experiment:
    metrics = {
        f"{method}.{key}": value
        for method, at in (("model", rmse), ("bicubic", 14.0), ("area", 15.0))
        for key, value in (("rmse_y", at), ("psnr_y", 25.0), ("swd", 1 / at))
    }
    return Experiment(name, {f"train.{key}": value for key, value in params.items()}, metrics)


SWEEP = [
    experiment("main", 12.0, adv_weight=1.0, vgg="imagenet"),
    experiment("a", 10.0, adv_weight=0, vgg="imagenet"),
    experiment("b", 11.0, adv_weight=0.1, vgg="imagenet"),
]


def test_points_are_labelled_by_the_varying_param_and_connected_in_its_order():
    plane = tradeoff_plane(SWEEP)
    names = [point.method for point in plane.points]
    assert names == ["adv_weight 1", "adv_weight 0", "adv_weight 0.1", "bicubic"]
    assert [point.is_model for point in plane.points] == [True, True, True, False]
    assert plane.curves == [["adv_weight 0", "adv_weight 0.1", "adv_weight 1"]]
    assert plane.points[1].perception == {"swd": 0.1}


def test_curves_connect_what_differs_in_no_other_param():
    more = [
        experiment("c", 13.0, adv_weight=1.0, vgg="random"),
        experiment("d", 10.5, adv_weight=0.1, vgg="random"),
    ]
    everything = tradeoff_plane([*SWEEP, *more])
    assert everything.curves == []
    assert everything.points[3].method == "adv_weight 1, vgg random"
    assert tradeoff_plane([*SWEEP, *more], by="train.adv_weight").curves == [
        [f"adv_weight {weight}, vgg imagenet" for weight in ("0", "0.1", "1")],
        ["adv_weight 0.1, vgg random", "adv_weight 1, vgg random"],
    ]


def test_equal_runs_are_one_point_and_unequal_ones_keep_their_names():
    again = experiment("again", 11.0, adv_weight=0.1, vgg="imagenet")
    other = experiment("other", 11.5, adv_weight=0.1, vgg="imagenet")
    names = [point.method for point in tradeoff_plane([*SWEEP, again, other]).points]
    assert names[2:4] == ["adv_weight 0.1", "adv_weight 0.1 (other)"]
    assert len(names) == 5


def test_a_single_experiment_is_labelled_by_its_name():
    plane = tradeoff_plane(SWEEP[:1])
    assert [point.method for point in plane.points] == ["main", "bicubic"]
    assert plane.curves == []


def test_a_param_that_is_no_number_cannot_order():
    for by in ("train.vgg", "train.absent"):
        with pytest.raises(UsageError, match=f"--by: {by} is no number in all experiments"):
            tradeoff_plane(SWEEP, by=by)


def test_params_of_two_stages_with_one_short_name_are_two_params() -> None:
    values = [("none", "none", 0.0), ("none", "none", 1.0), ("none", "web", 0.0), ("web", "web", 0)]
    experiments = [
        Experiment(
            f"run {number}",
            {"train.degradation": train, "evaluate.degradation": evaluate, "train.adv_weight": adv},
            experiment("", 10.0 + number).metrics,
        )
        for number, (train, evaluate, adv) in enumerate(values)
    ]
    names = [point.method for point in tradeoff_plane(experiments).points]
    assert names[2] == "train.degradation none, evaluate.degradation web, adv_weight 0"
    (curve,) = tradeoff_plane(experiments, by="train.adv_weight").curves
    others = "train.degradation none, evaluate.degradation none"
    assert curve == [f"adv_weight 0, {others}", f"adv_weight 1, {others}"]


def test_a_curve_connects_no_values_that_only_look_alike() -> None:
    weights = ((0.0, 0.1234567), (1.0, 0.1234568))
    experiments = [
        experiment(f"run {adv:g}", 10.0 + adv, adv_weight=adv, pixel_weight=pixel)
        for adv, pixel in weights
    ]
    assert tradeoff_plane(experiments, by="train.adv_weight").curves == []


def test_a_list_may_vary_beside_the_param_that_orders() -> None:
    layers = (["conv1_1"], ["conv1_1"], ["conv2_1"])
    experiments = [
        experiment(str(number), 10.0 + number, adv_weight=number, content_layers=layer)
        for number, layer in enumerate(layers)
    ]
    (curve,) = tradeoff_plane(experiments, by="train.adv_weight").curves
    assert curve == [f"adv_weight {weight}, content_layers ['conv1_1']" for weight in (0, 1)]
