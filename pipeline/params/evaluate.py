"""Params of the evaluate stage."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from pipeline.params.degradation import Degradation
from pipeline.params.section import Device, Paths, Section, problem_at


class EvaluateParams(Section):
    """What `pipeline evaluate` measures, and shows."""

    split: Literal["val", "test"] = Field("test", description="split that is measured")
    max_images: int | None = Field(
        None, ge=1, description="largest number of images to measure; null: all of the split"
    )
    hr_folder: str | None = Field(
        None,
        min_length=1,
        description="folder of HR images of one's own to measure on; null: the manifest's split",
    )
    lr_folder: str | None = Field(
        None,
        min_length=1,
        description="folder of their LR images; null: LR is made as `degradation` says",
    )
    degradation: Degradation = Field(
        "none",
        description="how the LR images are made, as in train.degradation; light, heavy: by the "
        "preset, without train.degradation_strengths",
    )
    models: Paths = Field(
        {},
        description="generators measured beside the trained one: name → file, or name of a shipped "
        "model",
    )
    results: Paths = Field(
        {},
        description="results of other programs: name → folder with one file per image; "
        "`pipeline pairs` writes the LR images for them",
    )
    blend: str | None = Field(
        None,
        description="name in `models` of a generator to blend with the trained one; the blends are "
        "a curve in the plane",
    )
    blend_steps: int = Field(3, ge=1, le=19, description="blends between those two")
    crop_border: int = Field(
        4,
        ge=0,
        description="pixels at each edge that PSNR and SSIM ignore; published figures take the "
        "scale",
    )
    lpips: Literal["auto", "off"] = Field(
        "auto", description="auto: measured if AlexNet's ImageNet weights are available"
    )
    dists: Literal["auto", "off"] = Field(
        "auto",
        description="DISTS and the kernel distance; auto: measured if VGG16's ImageNet weights are "
        "available",
    )
    pictures: int = Field(6, ge=1, description="images shown in the comparison and on the page")
    detail: int = Field(
        96, ge=16, description="side of the details that are shown enlarged, HR pixels"
    )
    seed: int = Field(
        0, ge=0, description="seed of the sliced Wasserstein distance and of the bootstrap"
    )
    device: Device = "auto"

    @property
    def without_effect(self) -> Mapping[str, str]:
        """Params that nothing reads with folders of one's own: name → the param that is why."""
        unread = {}
        if self.hr_folder is not None:
            unread["split"] = "hr_folder"
        if self.lr_folder is not None:
            unread["degradation"] = "lr_folder"
        return unread

    @model_validator(mode="after")
    def _check_lr_has_hr(self) -> "EvaluateParams":
        if self.lr_folder is not None and self.hr_folder is None:
            raise problem_at(("lr_folder",), "needs evaluate.hr_folder; set it too")
        return self

    @model_validator(mode="after")
    def _check_blend_is_a_model(self) -> "EvaluateParams":
        if self.blend is not None and self.blend not in self.models:
            raise problem_at(
                ("blend",),
                f"{self.blend!r} is no name in evaluate.models; add it there, or set it to null",
            )
        return self
