"""`pipeline upscale` as a user types it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from pipeline.networks import RRDBNet, SRResNet
from pipeline.networks.files import save_generator
from tests.images.files import png_file, with_chunks
from tests.stages.program import PROGRAM, ROOT, Finished, end, pipeline, start, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model of its own, and two pictures."""
    torch.manual_seed(0)
    network = SRResNet(scale=4, blocks=1, features=8, norm="none")
    save_generator(tmp_path / "small.safetensors", network, {})
    Image.new("RGB", (12, 9), "teal").save(tmp_path / "a.png")
    Image.new("RGB", (7, 5), "gold").save(tmp_path / "b.jpg")
    return tmp_path


def upscale(folder: Path, *arguments: str) -> Finished:
    return pipeline(folder, "upscale", "--model", "small.safetensors", *arguments)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["a.png"], {"a_x4.png": (48, 36)}),
        (["a.png", "-o", "c.webp"], {"c.webp": (48, 36)}),
        (["a.png", "b.jpg", "-o", "out"], {"out/a.png": (48, 36), "out/b.png": (28, 20)}),
        (["a.png", "-o", "new.v2/"], {"new.v2/a.png": (48, 36)}),
        (["a.png", "-o", "c.webp/"], {"c.webp/a.png": (48, 36)}),
        (["a.png", "--tile", "16", "-o", "c.jpg", "--quality", "80"], {"c.jpg": (48, 36)}),
        (["a.png", "--scale", "2.5"], {"a_x2.5.png": (30, 22)}),
        (["a.png", "--format", "webp"], {"a_x4.webp": (48, 36)}),
        (["a.png", "--format", "JPEG"], {"a_x4.jpg": (48, 36)}),
        (["a.png", "--precision", "fp32", "--device", "cpu"], {"a_x4.png": (48, 36)}),
        (["a.png", "--tta"], {"a_x4.png": (48, 36)}),
        (["a.png", "--seamless", "--scale", "3"], {"a_x3.png": (36, 27)}),
        (["a.png", "--width", "31"], {"a_w31.png": (31, 23)}),
        (["a.png", "--height", "101"], {"a_h101.png": (135, 101)}),
        (["a.png", "--width", "60", "--height", "36"], {"a_w60_h36.png": (48, 36)}),
    ],
)
def test_pictures_come_out_where_they_should(
    folder: Path, arguments: list[str], written: dict[str, tuple[int, int]]
) -> None:
    result = upscale(folder, *arguments)
    assert result.code == 0, result.err
    assert [line.removesuffix(", applied 2 times") for line in result.out.splitlines()] == [
        f"{name}: {size[0]}×{size[1]}, by small.safetensors" for name, size in written.items()
    ]
    for name, size in written.items():
        assert Image.open(folder / name).size == size


def test_a_texture_stays_seamless(folder: Path) -> None:
    texture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(texture).save(folder / "texture.png")
    Image.fromarray(np.roll(texture, (4, 5), (0, 1))).save(folder / "rolled.png")
    result = upscale(folder, "texture.png", "rolled.png", "-o", "out", "--seamless")
    assert result.code == 0, result.err
    one, other = (
        np.asarray(Image.open(folder / "out" / name)).astype(int)
        for name in ("texture.png", "rolled.png")
    )
    assert np.abs(np.roll(one, (16, 20), (0, 1)) - other).max() <= 1


@pytest.mark.parametrize(("options", "kept"), [([], {315: "somebody"}), (["--strip-metadata"], {})])
def test_metadata_is_kept_unless_it_is_to_be_stripped(
    folder: Path, options: list[str], kept: dict[int, str]
) -> None:
    exif = Image.Exif()
    exif[315] = "somebody"
    Image.new("RGB", (7, 5)).save(folder / "c.jpg", exif=exif)
    result = upscale(folder, "c.jpg", *options)
    assert result.code == 0, result.err
    assert dict(Image.open(folder / "c_x4.png").getexif()) == kept


def test_a_scale_above_the_models_says_how_often_it_is_applied(folder: Path) -> None:
    lines = {"4": "by small.safetensors", "5": "by small.safetensors, applied 2 times"}
    for scale, how in lines.items():
        result = upscale(folder, "a.png", "--scale", scale, "-o", f"{scale}.png")
        size = f"{12 * int(scale)}×{9 * int(scale)}"
        assert (result.code, result.out) == (0, f"{scale}.png: {size}, {how}\n")


def test_a_model_that_enlarges_nothing_changes_the_picture(folder: Path) -> None:
    torch.manual_seed(0)
    save_generator(folder / "1x.safetensors", RRDBNet(1, blocks=1, features=8, growth=4), {})
    result = pipeline(folder, "upscale", "--model", "1x.safetensors", "a.png")
    assert (result.code, result.out) == (0, "a_x1.png: 12×9, by 1x.safetensors\n")
    before, after = (np.asarray(Image.open(folder / name)) for name in ("a.png", "a_x1.png"))
    assert (before != after).any()
    larger = pipeline(folder, "upscale", "--model", "1x.safetensors", "--scale", "2", "a.png")
    assert (larger.code, larger.err) == (2, "--scale: this model makes pictures no larger\n")


def test_without_a_model_a_worn_jpeg_is_enlarged_by_web(folder: Path) -> None:
    result = pipeline(folder, "upscale", "a.png", "b.jpg", "-o", "out")
    assert result.code == 0, result.err
    assert result.out == "out/a.png: 48×36, by perception\nout/b.png: 28×20, by web\n"
    named = pipeline(folder, "upscale", "b.jpg", "-o", "named.png", "--model", "Web")
    assert named.out == "named.png: 28×20, by web\n"
    assert np.array_equal(Image.open(folder / "out/b.png"), Image.open(folder / "named.png"))
    between = pipeline(folder, "upscale", "b.jpg", "-o", "between.png", "--alpha", "0.5")
    assert between.out == "between.png: 28×20, by a blend, alpha 0.5\n"


def test_a_folder_keeps_its_folders_and_goes_on_where_it_stopped(folder: Path) -> None:
    (folder / "set/deep").mkdir(parents=True)
    for name in ("set/a.png", "set/deep/b.png", "set/deep/c.png"):
        shutil.copy(folder / "a.png", folder / name)
    first = upscale(folder, "set")
    assert first.out.splitlines() == [
        f"set_x4/{name}.png: 48×36, by small.safetensors" for name in ("a", "deep/b", "deep/c")
    ]
    (folder / "set_x4/deep/b.png").unlink()
    again = upscale(folder, "set")
    assert again.out == "set_x4/deep/b.png: 48×36, by small.safetensors\n"
    assert "2 of 3 exist, made with whatever options; -o names another folder, --over" in again.err
    assert upscale(folder, "set").code == 0


def test_a_smaller_picture_needs_no_model(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    result = upscale(folder, "noise.png", "--scale", "0.5")
    assert result.out == "noise_x0.5.png: 30×20, made smaller without a model\n"
    smaller = np.asarray(Image.open(folder / "noise_x0.5.png")).astype(int)
    expected = np.asarray(Image.fromarray(pixels).resize((30, 20), Image.Resampling.BICUBIC))
    assert np.abs(smaller - expected).max() <= 2


def test_all_pictures_of_a_folder_are_enlarged_and_the_rest_is_named(folder: Path) -> None:
    (folder / "set/sub").mkdir(parents=True)
    (folder / "real").mkdir()
    for name in ("set/a.png", "set/b", "set/sub/c.png", "real/d.png"):
        shutil.copy(folder / "a.png", folder / name)
    shutil.copy(folder / "b.jpg", folder / "set/e.jfif")
    (folder / "set/linked").symlink_to("../real")
    (folder / "set/loop").symlink_to(".")
    (folder / "set/text.png").write_text("text")
    (folder / "set/f.heic").touch()
    (folder / "set/note.txt").touch()
    os.mkfifo(folder / "set/fifo.png")
    result = upscale(folder, "set")
    assert result.code == 1
    assert [line.split(":")[0] for line in result.out.splitlines()] == [
        f"set_x4/{name}.png" for name in ("a", "b", "e", "linked/d", "sub/c")
    ]
    assert [line for line in result.problems if not line.startswith("upscale: ")] == [
        "set: left out, as HEIC is not read: f.heic",
        "set: left out, as neither files nor folders: fifo.png",
        "set: left out, as their pictures are taken already: loop",
        "set: files left out: 1 without a picture",
        "set/text.png: no image of a known format",
    ]


def test_odd_names_are_kept(folder: Path) -> None:
    (folder / "set").mkdir()
    names = ["--model", "100%", "50%20s", " space ", "dots..", "new\nline", "quo'te\"", "😀é", "*"]
    if sys.platform == "linux":
        names += ["n" * 251, "é" * 125]
    for name in names:
        shutil.copy(folder / "a.png", folder / f"set/{name}.png")
    result = upscale(folder, "set")
    assert result.code == 0, result.err
    assert {path.name for path in (folder / "set_x4").iterdir()} == {f"{n}.png" for n in names}


def test_a_name_that_has_no_room_for_an_ending_is_the_only_one_left_out(folder: Path) -> None:
    long = "n" * 250 + ".png"
    shutil.copy(folder / "a.png", folder / long)
    result = upscale(folder, long, "a.png")
    assert (result.code, result.out) == (1, "a_x4.png: 48×36, by small.safetensors\n")
    assert f"{long}: its result's name has 257 bytes, too many; use -o" in result.problems
    assert result.problems[-1] == "not everything was enlarged; the reasons are above"
    alone = upscale(folder, long)
    assert (alone.code, alone.err) == (1, result.problems[0] + "\n")
    assert upscale(folder, long, "-o", "out").code == 0


def test_pictures_of_one_name_do_not_stop_the_others(folder: Path) -> None:
    (folder / "other").mkdir()
    shutil.copy(folder / "a.png", folder / "other/a.png")
    result = upscale(folder, "a.png", "other/a.png", "b.jpg", "-o", "out")
    assert (result.code, result.out) == (1, "out/b.png: 28×20, by small.safetensors\n")
    assert (
        "a.png, other/a.png: would become the same file, out/a.png.png; "
        "enlarge them one by one, and name each another with -o" in result.problems
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png"], "a_x4.png: exists, made with whatever options"),
        (
            ["a.png", "--width", "31", "--model", "b.jpg", "-o", "a_x4.png"],
            "a_x4.png: exists, made with whatever options",
        ),
        (["a.png", "-o", "b.jpg/out"], "b.jpg/out: cannot be written: Not a directory"),
        (["absent.png"], "absent.png: No such file or directory"),
        (["a.png", "b.jpg", "-o", "/proc/self/none"], "/proc/self/none: takes no files"),
    ],
)
def test_what_is_wrong_with_files_is_found_without_pytorch(
    folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "a_x4.png").touch()
    result = upscale_and_print_modules(folder, *arguments)
    assert message in result.stderr
    assert result.returncode in (1, 2)
    assert "typer" in result.stdout.split()
    assert "torch" not in result.stdout.split()


def test_a_picture_is_enlarged_without_what_takes_seconds_to_load(folder: Path) -> None:
    result = upscale_and_print_modules(folder, "a.png", "--model", "small.safetensors")
    assert result.returncode == 0, result.stderr
    assert "torch" in result.stdout.split()
    assert not {"torch._dynamo", "scipy"} & set(result.stdout.split())


def upscale_and_print_modules(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What `pipeline upscale` says, with the names of all loaded modules at the end."""
    modules = "import sys; from stages.app import main\ntry: main()\nfinally: print(*sys.modules)"
    return subprocess.run(
        [sys.executable, "-c", modules, "upscale", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_pictures_are_enlarged_as_they_appear(folder: Path) -> None:
    whole = (folder / "a.png").read_bytes()
    (folder / "inbox").mkdir()
    (folder / "inbox/first.png").write_bytes(whole)
    process = start(folder, "upscale", "--model", "small.safetensors", "--watch", "inbox")
    assert process.stdout is not None
    written = [process.stdout.readline()]
    with (folder / "inbox/second.png").open("wb") as file:
        for byte in range(len(whole)):
            file.write(whole[byte : byte + 1])
            file.flush()
            time.sleep(2 / len(whole))
    written.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    ended = end(process)
    lines = [line for line in ended.problems if not line.startswith("upscale: 1/1 ")]
    assert (ended.code, lines) == (130, ["watching inbox; Ctrl-C ends", "interrupted"])
    assert written == [
        f"inbox_x4/{name}.png: 48×36, by small.safetensors\n" for name in ("first", "second")
    ]


def test_a_watched_folder_is_tried_again_and_followed(folder: Path) -> None:
    """Neither a folder that could not be written nor a first version is the last word."""
    (folder / "inbox").mkdir()
    (folder / "block").touch()
    shutil.copy(folder / "a.png", folder / "inbox/a.png")
    process = start(
        folder, "upscale", "--model", "small.safetensors", "--watch", "inbox", "-o", "block/out"
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(2)]
    assert lines == [
        "watching inbox; Ctrl-C ends\n",
        "block/out: cannot be written: Not a directory\n",
    ]
    (folder / "block").unlink()
    written = [process.stdout.readline()]
    Image.new("RGB", (5, 4), "teal").save(folder / "inbox/a.png")
    written.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    ended = end(process)
    assert written == [
        f"block/out/a.png: {size}, by small.safetensors\n" for size in ("48×36", "20×16")
    ]
    assert (ended.code, ended.problems[-1]) == (130, "interrupted")
    assert "Not a directory" not in ended.err, "said once"


def test_an_animation_is_interrupted_at_once_and_leaves_no_file(folder: Path) -> None:
    frames = [Image.effect_noise((400, 400), 50) for _ in range(40)]
    frames[0].save(folder / "long.gif", save_all=True, append_images=frames[1:])
    process = start(folder, "upscale", "--model", "distortion", "long.gif", "-o", "out/long.png")
    wait_until(lambda: (folder / "out").is_dir() and any((folder / "out").iterdir()))
    process.send_signal(signal.SIGINT)
    stopped = end(process)
    assert (stopped.code, stopped.problems[-1]) == (
        130,
        "interrupted; the same command begins the picture again",
    )
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "stream"), [(["-"], "input"), (["a.png", "-o", "-"], "output")]
)
def test_a_terminal_is_no_pipe(folder: Path, arguments: list[str], stream: str) -> None:
    terminal, other = os.openpty()
    try:
        result = subprocess.run(
            [PROGRAM, "upscale", "--model", "small.safetensors", *arguments],
            cwd=folder,
            stdin=other if stream == "input" else subprocess.DEVNULL,
            stdout=other if stream == "output" else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    finally:
        os.close(terminal)
        os.close(other)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith(f"-: standard {stream} is a terminal; ")


def test_pipes(folder: Path) -> None:
    command = [PROGRAM, "upscale", "--model", "small.safetensors", "-", "--format", "webp"]
    piped = subprocess.run(
        command, cwd=folder, input=(folder / "a.png").read_bytes(), capture_output=True, timeout=120
    )
    assert piped.returncode == 0
    upscale(folder, "a.png", "-o", "c.webp")
    assert piped.stdout == (folder / "c.webp").read_bytes()


def test_a_closed_output_is_named_before_the_work(folder: Path) -> None:
    result = subprocess.run(
        ["sh", "-c", '"$0" upscale a.png --model small.safetensors -o - >&-', PROGRAM],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stderr) == (1, "-: standard output is closed\n")


def test_a_pipe_without_end_is_interrupted_at_once(folder: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "upscale", "--model", "small.safetensors", "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        # A pipe holds less: all of it is written only while it is read.
        process.stdin.write((folder / "a.png").read_bytes() + bytes(3_000_000))
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read().startswith(b"interrupted; ")
    finally:
        process.kill()
        process.communicate()


def test_a_link_to_no_file_is_kept_without_overwrite(folder: Path) -> None:
    (folder / "a_x4.png").symlink_to("absent.png")
    result = upscale(folder, "a.png")
    assert (result.code, (folder / "a_x4.png").is_symlink()) == (2, True)
    assert result.err.startswith("a_x4.png: exists, made with whatever options; ")


def test_a_name_of_control_characters_is_printed_on_one_line(folder: Path) -> None:
    (folder / "a.png").rename(folder / "a\n\x1b[31m.png")
    result = upscale(folder, "a\n\x1b[31m.png", "-o", "b\n.png")
    assert result.out == "b\\n.png: 48×36, by small.safetensors\n"


def test_an_existing_file_is_kept_without_overwrite(folder: Path) -> None:
    (folder / "a_x4.png").write_text("mine")
    result = upscale(folder, "a.png")
    assert (result.code, (folder / "a_x4.png").read_text()) == (2, "mine")
    assert result.err == (
        "a_x4.png: exists, made with whatever options; -o names another file, --overwrite replaces "
        "it\n"
    )
    assert upscale(folder, "a.png", "--overwrite").code == 0


def test_all_pictures_of_a_folder_can_be_named_again(folder: Path) -> None:
    shutil.copy(folder / "a.png", folder / "icon.png")
    for _ in range(2):
        result = upscale(folder, *sorted(path.name for path in folder.glob("*.png")))
        assert result.code == 0, result.err
    left_out = "left out, as they are the results of other pictures"
    assert f"a_x4.png and 1 more: {left_out}" in result.err
    again = upscale(folder, "a.png", "a_x4.png", "--overwrite")
    assert "a_x4.png: left out, as it is the result of another picture\n" in again.err


def test_no_picture_is_passed_over_for_the_result_of_another(folder: Path) -> None:
    (folder / "a.png").rename(folder / "icon.png")
    Image.new("RGB", (7, 5), "gold").save(folder / "a.jpg")
    upscale(folder, "a.jpg")
    Image.new("RGB", (3, 2), "teal").save(folder / "a.png")
    result = upscale(folder, "a.png", "icon.png")
    assert result.out == "".join(
        f"{text}, by small.safetensors\n" for text in ("a.png_x4.png: 12×8", "icon_x4.png: 48×36")
    )


def test_a_bad_picture_does_not_stop_the_others(folder: Path) -> None:
    (folder / "bad.png").write_text("no picture")
    result = upscale(folder, "bad.png", "a.png", "-o", "out")
    assert result.code == 1
    assert "bad.png: no image of a known format" in result.err
    assert [path.name for path in (folder / "out").iterdir()] == ["a.png"]


def test_transparency_is_refused_by_jpeg_before_it_is_enlarged(folder: Path) -> None:
    Image.new("RGBA", (8, 8)).save(folder / "clear.png")
    result = upscale(folder, "clear.png", "--format", "jpg")
    assert (result.code, result.err) == (
        1,
        "clear.png: JPEG has no transparency; name --background, or use png or webp\n",
    )
    Image.new("RGB", (8, 8), "red").save(folder / "red.png")
    for name in ("clear", "red"):
        on_red = upscale(folder, f"{name}.png", "-o", f"{name}.jpg", "--background", "#f00")
        assert on_red.code == 0, on_red.err
    assert (folder / "clear.jpg").read_bytes() == (folder / "red.jpg").read_bytes()


def test_high_dynamic_range_is_laid_on_no_colour(folder: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pq = (b"cICP", bytes((9, 16, 0, 1)))
    (folder / "hdr.png").write_bytes(with_chunks(png_file(pixels), pq))
    result = upscale(folder, "hdr.png", "--background", "white")
    assert (result.code, result.err) == (
        1,
        "hdr.png: --background: on colours of high dynamic range (PQ) no colour can be laid; "
        "leave it out\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.png", "b.jpg", "-o", "small.safetensors"], 2, "name a folder"),
        (["a.png", "-o", "c.bmp"], 2, "unknown ending"),
        (["a.png", "-o", "a.png"], 2, "a.png: would replace the picture a.png"),
        (["empty"], 2, "empty: holds no picture that can be read"),
        (["absent.png"], 1, "absent.png: No such file"),
        (["x" * 300], 1, "x: File name too long"),
        ([""], 2, "PICTURES: is empty; leave it out, or name something (this folder is .)"),
        (["a.png", "-o", ""], 2, "--output: is empty; leave it out"),
        (["a.png", "-o", "/dev/full"], 1, "/dev/full is neither a file nor a folder; - is for a"),
        (["a.png", "-o", "/proc/x.png"], 1, "/proc: takes no files; name another folder"),
        (["a.png", "-o", "b.jpg/"], 2, "--output: b.jpg is a file, for one picture; name a folder"),
        (["a.png", "--model", "absent.safetensors"], 2, "--model: absent.safetensors: no such"),
        (["a.png", "--model", "a.png"], 2, "--model: a.png: is a picture (PNG), not a model"),
        (["a.png", "--model", "best"], 2, "--model: best is no file, and no model that is"),
        (["a.png", "--alpha", "0.5"], 2, "--alpha: it mixes the two models"),
        (["a.png", "--format", "bmp"], 2, "--format: bmp is unknown; use png, webp, jpg or gif"),
        (["a.png", "-o", "c.jpg", "--format", "png"], 2, "png is not what --output c.jpg is"),
        (["a.png", "--quality", "90"], 2, "--quality: png has none"),
        (["a.png", "--tile", "small"], 2, "--tile: small is neither auto nor a number"),
        (["a.png", "--scale", "40"], 2, "--scale: 40 is not between 0.01 and 16"),
        (["a.png", "--scale", "4x"], 2, "--scale: 4x is no number; for example 4"),
        (["a.png", "--quality", "9.5"], 2, "--quality: 9.5 is no whole number; for example 9"),
        (["a.png", "--scale", "2", "--width", "9"], 2, "--scale: width and height take its place"),
        (["a.png", "--width", "900"], 1, "a.png: from 12×9 that size is 75 times as large; 16 is"),
        (
            ["a.png", "--background", "whit"],
            2,
            "--background: whit is no opaque colour; for example",
        ),
        (["-", "--keep-time"], 2, "--keep-time: a pipe has no time; name files"),
        (["a.png", "--watch"], 2, "--watch: a.png is no folder"),
        (["a.png", "--precision", "fp16"], 2, "--precision: fp16 is unknown"),
        (["a.png", "-o", "small.safetensors/x"], 1, "cannot be written: Not a directory"),
    ],
)
def test_mistakes_are_named(folder: Path, arguments: list[str], code: int, message: str) -> None:
    (folder / "empty").mkdir()
    result = upscale(folder, *arguments)
    problems = [line for line in result.problems if not line.startswith("upscale: ")]
    assert (result.code, len(problems)) == (code, 1)
    assert message in problems[0]
    assert not message.startswith("--") or problems[0].startswith(message)


def test_a_full_disk_leaves_no_half_file(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "big.png")
    limit = f"ulimit -f 8; exec {PROGRAM} upscale --model small.safetensors big.png -o out"
    result = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {limit}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert "out/big.png: cannot be written: File too large" in result.stderr
    assert list((folder / "out").iterdir()) == []


def test_an_interrupt_leaves_whole_files_and_the_rest_for_later(folder: Path) -> None:
    (folder / "set").mkdir()
    names = {f"{number:02}.png" for number in range(40)}
    for name in names:
        Image.new("RGB", (200, 200), "teal").save(folder / "set" / name)
    process = start(folder, "upscale", "--model", "small.safetensors", "set")
    wait_until(lambda: (folder / "set_x4").is_dir() and any((folder / "set_x4").glob("*.png")))
    process.send_signal(signal.SIGINT)
    stopped = end(process)
    assert (stopped.code, stopped.problems[-1]) == (
        130,
        "interrupted; run the same command again to go on",
    )
    written = {path.name for path in (folder / "set_x4").iterdir()}
    assert written < names
    for name in written:
        Image.open(folder / "set_x4" / name).load()
    assert upscale(folder, "set").code == 0
    assert {path.name for path in (folder / "set_x4").iterdir()} == names


def test_a_single_picture_that_was_interrupted_begins_again(folder: Path) -> None:
    Image.effect_noise((2000, 2000), 50).save(folder / "large.png")
    process = start(folder, "upscale", "--model", "distortion", "large.png")
    times = psutil.Process(process.pid).cpu_times
    wait_until(lambda: times().user > 6)
    process.send_signal(signal.SIGINT)
    stopped = end(process)
    assert (stopped.code, stopped.problems[-1]) == (
        130,
        "interrupted; the same command begins the picture again",
    )


def test_without_any_set_up_the_shipped_model_is_used(folder: Path) -> None:
    Image.effect_noise((12, 9), 50).convert("RGB").save(folder / "noise.png")
    results = [
        pipeline(folder, "upscale", "noise.png", "-o", f"{name}.png", *model)
        for name, model in (
            ("default", []),
            ("perception", ["--model", "perception"]),
            ("distortion", ["--model", "distortion"]),
            ("between", ["--alpha", "0.5"]),
        )
    ]
    assert [result.code for result in results] == [0, 0, 0, 0]
    default, perception, distortion, between = (
        (folder / f"{name}.png").read_bytes()
        for name in ("default", "perception", "distortion", "between")
    )
    assert default == perception
    assert len({perception, distortion, between}) == 3
