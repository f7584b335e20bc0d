"""Which picture becomes which file."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import PipelineError, UsageError
from pipeline.upscaling.plan import PIPE, Job, plan_jobs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.jpg", "set/c.webp", "set/deep/d.PNG", "set/.e/f.png", "set/note.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def planned(inputs: list[str], output: str | None, format: str = "png") -> dict[str, str]:
    paths = [Path(text) for text in inputs]
    plan = plan_jobs(paths, None if output is None else Path(output), format, "_x4")
    return {str(job.source): str(job.target) for job in plan.jobs}


@pytest.mark.parametrize(
    ("inputs", "output", "targets"),
    [
        (["a.png"], None, ["a_x4.png"]),
        (["a.png"], "c.png", ["c.png"]),
        (["a.png"], "out", ["out/a.png"]),
        (["a.png", "a.png"], "out", ["out/a.png"]),
        (["a.png"], "set", ["set/a.png"]),
        (["a.png", "b.jpg"], None, ["a_x4.png", "b_x4.png"]),
        (["a.png", "b.jpg"], "out.v2", ["out.v2/a.png", "out.v2/b.png"]),
        (["set"], None, ["set_x4/c.png", "set_x4/deep/d.png"]),
        (["set"], "out", ["out/c.png", "out/deep/d.png"]),
        (["set"], ".", ["c.png", "deep/d.png"]),
        (["set/.e"], "out", ["out/f.png"]),
        (["a.png", "set"], "out", ["out/a.png", "out/c.png", "out/deep/d.png"]),
        (["note v1.5", "photo"], None, ["note v1.5_x4.png", "photo_x4.png"]),
        (["note v1.5"], "out", ["out/note v1.5.png"]),
        (["set/c.webp", "set/deep"], None, ["set/c_x4.png", "set/deep_x4/d.png"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_pictures_and_folders(inputs: list[str], output: str | None, targets: list[str]) -> None:
    assert list(planned(inputs, output).values()) == targets


@pytest.mark.usefixtures("folder")
def test_format_gives_the_ending() -> None:
    assert planned(["a.png", "set"], "out", "webp") == {
        "a.png": "out/a.webp",
        "set/c.webp": "out/c.webp",
        "set/deep/d.PNG": "out/deep/d.webp",
    }


def test_two_of_one_name_keep_their_endings(folder: Path) -> None:
    (folder / "a.jpg").touch()
    assert planned(["a.png", "a.jpg", "b.jpg"], "out") == {
        "a.png": "out/a.png.png",
        "a.jpg": "out/a.jpg.png",
        "b.jpg": "out/b.png",
    }


def test_a_result_has_the_same_name_whatever_is_enlarged_with_it(folder: Path) -> None:
    """Else a picture may seem to have a result, which is another one's."""
    (folder / "a.jpg").touch()
    for inputs in (["a.png"], ["a.png", "b.jpg"], ["a.png", "a.jpg"]):
        assert planned(inputs, None)["a.png"] == "a.png_x4.png"
        assert planned(inputs, "out")["a.png"] == "out/a.png.png"


@pytest.mark.usefixtures("folder")
def test_results_of_the_run_before_are_no_pictures() -> None:
    assert planned(["a.png", "a_x4.png", "b.jpg"], None) == {
        "a.png": "a_x4.png",
        "b.jpg": "b_x4.png",
    }
    assert planned(["a_x4.png"], None) == {"a_x4.png": "a_x4_x4.png"}


@pytest.mark.parametrize("output", [None, "../out"])
def test_a_folder_may_hold_results_beside_their_sources(folder: Path, output: str | None) -> None:
    for name in (
        "a_x4.png",
        "a_x4.webp",
        "a_x4_x4.png",
        "b.jpg_x4.png",
        "other_x4.png",
        "set_x4/c.png",
        "set_x4/deep/d.png",
        "set_x4/own.png",
    ):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()
    kept = ["a.png", "b.jpg", "other_x4.png", "set/c.webp", "set/deep/d.PNG", "set_x4/own.png"]
    assert list(planned(["."], output)) == kept
    everything = sorted(str(path.relative_to(folder)) for path in folder.iterdir())
    assert list(planned(everything, output)) == kept
    plan = plan_jobs([Path("set"), Path("set_x4")], None, "png", "_x4")
    assert plan.left_out == [Path("set_x4/c.png"), Path("set_x4/deep/d.png")]


@pytest.mark.parametrize("suffix", ["_x2", "_x2.5", "_w1920", "_h1080", "_w1920_h1080"])
def test_results_of_another_size_are_results(folder: Path, suffix: str) -> None:
    (folder / f"a{suffix}.png").touch()
    (folder / f"note{suffix}.png").touch()
    assert planned([f"a{suffix}.png", "a.png", f"note{suffix}.png"], None) == {
        "a.png": "a_x4.png",
        f"note{suffix}.png": f"note{suffix}_x4.png",
    }


def test_results_within_a_folder_are_not_its_pictures(folder: Path) -> None:
    first = planned(["set"], "set/large")
    for target in first.values():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).touch()
    assert planned(["set"], "set/large") == first


@pytest.mark.parametrize(
    ("inputs", "output", "targets", "collision"),
    [
        (
            ["a.png", "set/a.png", "b.jpg"],
            "out",
            ["out/b.png"],
            "a.png, set/a.png: would become the same file, out/a.png.png; "
            "enlarge them one by one, and name each another with -o",
        ),
        (
            ["a.png", "set/deep"],
            ".",
            ["d.png"],
            "a.png: would replace the picture a.png; name another with -o",
        ),
        (
            ["a.png"],
            "a.png",
            [],
            "a.png: would replace the picture a.png; name another with -o",
        ),
        (
            ["photo", "dir"],
            "out",
            ["out/photo.png/d.png"],
            "photo: would become out/photo.png, the folder of others; rename it",
        ),
    ],
)
def test_pictures_without_a_result_of_their_own_do_not_stop_others(
    folder: Path, inputs: list[str], output: str, targets: list[str], collision: str
) -> None:
    for name in ("set/a.png", "dir/photo.png/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    plan = plan_jobs([Path(name) for name in inputs], Path(output), "png", "_x4")
    assert [str(job.target) for job in plan.jobs] == targets
    assert plan.collisions == [collision]


def test_a_folder_that_is_called_as_a_picture_is_none(folder: Path) -> None:
    for name in ("set/x.png/b.png", "set/x.jpg", "set/photo", "set/photo.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    Image.new("RGB", (2, 2)).save(folder / "set/photo", "PNG")
    assert planned(["set"], "out") == {
        "set/c.webp": "out/c.png",
        "set/deep/d.PNG": "out/deep/d.png",
        "set/photo": "out/photo.png",
        "set/photo.png": "out/photo.png.png",
        "set/x.jpg": "out/x.jpg.png",
        "set/x.png/b.png": "out/x.png/b.png",
    }


def test_folders_say_what_they_leave_out(folder: Path) -> None:
    (folder / "set/a.heic").touch()
    (folder / "empty").mkdir()
    plan = plan_jobs([Path("set"), Path("empty")], None, "png", "_x4")
    assert plan.notes == ["set: left out, as HEIC is not read: a.heic"]
    assert plan.counts == [
        "set: files left out: 1 without a picture, 1 hidden",
        "empty: holds no picture that can be read",
    ]


def test_a_file_that_is_named_by_two_paths_is_done_once(folder: Path) -> None:
    (folder / "link.png").symlink_to("a.png")
    (folder / "linked").symlink_to("set")
    for output in (None, "out", "c.png"):
        plan = plan_jobs(
            [Path("a.png"), folder / "a.png", Path("link.png")],
            output and Path(output),
            "png",
            "_x4",
        )
        assert [job.source for job in plan.jobs] == [Path("a.png")]
        assert plan.notes == [
            f"{folder}/a.png: left out, as it is the same file as a.png",
            "link.png: left out, as it is the same file as a.png",
        ]
    plan = plan_jobs([Path("set"), Path("linked"), Path("linked/c.webp")], Path("o"), "png", "_x4")
    assert [str(job.target) for job in plan.jobs] == ["o/c.png", "o/deep/d.png"]
    assert plan.collisions == []


@pytest.mark.usefixtures("folder")
def test_a_folder_may_be_called_as_a_file() -> None:
    plan = plan_jobs([Path("a.png")], Path("new.v2"), "png", "_x4", into_folder=True)
    assert [str(job.target) for job in plan.jobs] == ["new.v2/a.png"]
    plan = plan_jobs([Path("a.png"), Path("b.jpg")], Path("c.png"), "png", "_x4", into_folder=True)
    assert [str(job.target) for job in plan.jobs] == ["c.png/a.png", "c.png/b.png"]


def test_a_device_is_no_output(folder: Path) -> None:
    os.mkfifo(folder / "fifo.png")
    for name in ("fifo.png", os.devnull):
        with pytest.raises(PipelineError, match=f"{name} is neither a file nor a folder"):
            planned(["a.png"], name)


def test_pipes() -> None:
    assert plan_jobs([PIPE], None, "png", "_x4").jobs == [Job(PIPE, PIPE)]
    assert plan_jobs([PIPE], Path("a.png"), "png", "_x4").jobs == [Job(PIPE, Path("a.png"))]
    assert plan_jobs([Path("a.png")], PIPE, "png", "_x4").jobs == [Job(Path("a.png"), PIPE)]


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["a.png", "b.jpg"], "a.png", "a.png is a file, for one picture"),
        (["a.png"], "c.bmp", r"c.bmp: unknown ending; use \.png"),
        (["-"], "a.bmp", r"a\.bmp: unknown ending"),
        (["a.png", "b.jpg"], "c.png", r"c\.png is a file, for one picture"),
        (["set"], "set", "set is the folder itself"),
        (["/"], None, "has nothing beside it"),
        (["-", "a.png"], None, "one picture"),
    ],
)
def test_mistakes_are_named(
    folder: Path, inputs: list[str], output: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        planned(inputs, output)
