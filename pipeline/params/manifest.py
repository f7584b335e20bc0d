"""Params of the manifest stage."""

from pydantic import Field, model_validator

from pipeline.params.section import Names, Section, problem_at


class ManifestParams(Section):
    count: int = Field(18_000, ge=1, description="rows at most")
    min_count: int = Field(
        16_000, ge=1, description="rows under which the stage fails, where count is no less"
    )
    val_fraction: float = Field(0.01, ge=0, lt=1, description="share of groups for validation")
    test_fraction: float = Field(0.01, ge=0, lt=1, description="share of groups for testing")
    min_jpeg_quality: int | None = Field(
        None,
        ge=1,
        le=100,
        description="JPEG originals of a lower estimated quality are left out, unless they were "
        "shrunk to half or less; null: none is",
    )
    full_chroma: bool = Field(
        False,
        description="whether JPEG originals with halved chroma are left out, unless they were "
        "shrunk to half or less",
    )
    min_contrast: float = Field(
        3.0,
        ge=0,
        description="images of a lower standard deviation of brightness, 0 to 127.5, are left out "
        "as flat",
    )
    greyscale: bool = Field(True, description="whether pictures without colour are taken")
    text: bool = Field(
        True,
        description="whether pictures are taken that their tags call text: text_focus, "
        "text-only_page",
    )
    excluded_tags: Names = Field(
        (), description="pictures with any of these tags are left out: comic, sketch, ..."
    )
    phash_distance: int | None = Field(
        4,
        ge=0,
        le=64,
        description="perceptual hashes this near or nearer are one picture, bits of 64; null: only "
        "equal pixels are",
    )
    seed: int = Field(0, ge=0, description="seed of the choice and of the splits")

    @model_validator(mode="after")
    def _something_to_train_on(self) -> "ManifestParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise problem_at(
                ("test_fraction",), "val_fraction and test_fraction leave nothing to train on"
            )
        return self
