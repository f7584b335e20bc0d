"""Params of the manifest stage."""

from pydantic import Field, model_validator

from pipeline.params.section import Names, Section, problem_at


class ManifestParams(Section):
    """Which images `pipeline manifest` chooses, and how it splits them."""

    count: int = Field(18_000, ge=1, description="largest number of rows")
    min_count: int = Field(
        16_000,
        ge=1,
        description="the stage fails with fewer rows than this, or than a lower count",
    )
    val_fraction: float = Field(
        0.01, ge=0, lt=1, description="share of the groups of related pictures for validation"
    )
    test_fraction: float = Field(
        0.01, ge=0, lt=1, description="share of the groups of related pictures for testing"
    )
    min_split: int = Field(
        8,
        ge=1,
        description="least number of images for validation, and for testing, unless their fraction "
        "is 0: in a small set the fractions are raised until they have it, but to no more than a "
        "tenth of the images each, and one; fewer only where related pictures are in another split",
    )
    min_jpeg_quality: int | None = Field(
        None,
        ge=1,
        le=100,
        description="JPEG originals of a lower estimated quality are excluded, unless they were "
        "scaled down to half or less; null: no limit",
    )
    full_chroma: bool = Field(
        False,
        description="whether JPEG originals with subsampled chroma are excluded, unless they were "
        "scaled down to half or less",
    )
    min_contrast: float = Field(
        3.0,
        ge=0,
        description="images with a lower standard deviation of luma, 0 to 127.5, are excluded as "
        "flat",
    )
    greyscale: bool = Field(True, description="whether pictures without colour are included")
    text: bool = Field(
        True,
        description="whether pictures tagged text_focus or text-only_page are included",
    )
    excluded_tags: Names = Field(
        (),
        description="pictures with any of these tags are excluded: comic, sketch, *_focus, ...; * "
        "stands for any letters",
    )
    phash_distance: int | None = Field(
        4,
        ge=0,
        le=64,
        description="pictures are duplicates if at most this many of the 64 bits of their "
        "perceptual hashes differ; null: only if their pixels are equal",
    )
    seed: int = Field(0, ge=0, description="seed of the selection and of the splits")

    @model_validator(mode="after")
    def _check_something_to_train_on(self) -> "ManifestParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise problem_at(
                ("test_fraction",),
                "val_fraction and test_fraction leave nothing to train on; lower them",
            )
        return self
