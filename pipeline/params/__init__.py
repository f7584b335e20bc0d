"""`params.yaml` as frozen, validated types: the program's only schema and its only defaults."""

from pydantic import Field, model_validator

from pipeline.params.evaluate import EvaluateParams
from pipeline.params.manifest import ManifestParams
from pipeline.params.resize import ResizeParams
from pipeline.params.scrape import ScrapeParams
from pipeline.params.section import (
    Section,
    is_list,
    is_mapping,
    is_mapping_of_numbers,
    is_mapping_of_values,
    problem_at,
)
from pipeline.params.train import TrainParams

__all__ = [
    "EvaluateParams",
    "ManifestParams",
    "Params",
    "ResizeParams",
    "ScrapeParams",
    "Section",
    "TrainParams",
    "is_list",
    "is_mapping",
    "is_mapping_of_numbers",
    "is_mapping_of_values",
    "section_type",
]


class Params(Section):
    """All of `params.yaml`: one section per stage."""

    scrape: ScrapeParams = Field(
        ScrapeParams(),
        description="Fetch pictures from a Gelbooru 0.2 or Danbooru 2 site into data/raw.",
    )
    resize: ResizeParams = Field(
        ResizeParams(),
        description="Bring every original to one square RGB size, lossless, in data/resized.",
    )
    manifest: ManifestParams = Field(
        ManifestParams(),
        description="Choose the images, drop duplicates, split: data/manifest.csv.",
    )
    train: TrainParams = Field(
        TrainParams(), description="Train the generator: models/generator.safetensors."
    )
    evaluate: EvaluateParams = Field(
        EvaluateParams(), description="Measure the generator beside interpolation: reports/."
    )

    @model_validator(mode="after")
    def _check_some_pictures_fit(self) -> "Params":
        scrape, resize = self.scrape, self.resize
        # pad scales the long side to `size`: that of the most elongated picture is the longest.
        largest = (
            scrape.max_pixels if resize.mode != "pad" else scrape.max_pixels * scrape.max_aspect
        )
        if largest < resize.size**2:
            raise problem_at(
                ("scrape", "max_pixels"),
                f"no picture of at most {scrape.max_pixels} pixels has sides of resize.size "
                f"{resize.size}; raise it, or lower resize.size",
            )
        smallest = max(scrape.min_side, 1 if resize.mode == "pad" else resize.size)
        if smallest**2 > resize.max_pixels:
            raise problem_at(
                ("resize", "max_pixels"),
                f"no picture with sides of at least {smallest} pixels is that small; raise it",
            )
        return self

    @model_validator(mode="after")
    def _check_crop_fits_images(self) -> "Params":
        if self.train.crop > self.resize.size:
            raise problem_at(
                ("train", "crop"),
                f"{self.train.crop} is larger than resize.size {self.resize.size}; lower it",
            )
        return self

    @model_validator(mode="after")
    def _check_lr_differs_from_hr(self) -> "Params":
        evaluate = self.evaluate
        made = evaluate.lr_folder is None and evaluate.degradation == "none"
        if self.train.scale == 1 and made:
            raise problem_at(
                ("evaluate", "degradation"),
                "at train.scale 1 LR made by none is HR itself; set this to another, as web, or "
                "give LR images: evaluate.hr_folder, evaluate.lr_folder",
            )
        return self


def section_type(name: str) -> type[Section]:
    """Return the type of the section `name` of `params.yaml`."""
    annotation = Params.model_fields[name].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, Section)
    return annotation
