"""What a picture says of itself: EXIF, XMP, IPTC and text. What is true of the result is kept.

What describes the small picture's pixels is left out: size, orientation, thumbnails.
"""

import re
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from pipeline.images.opening import ORIENTATION, XMP_ORIENTATION
from pipeline.machine_errors import is_machine_fault

# Of the first directory. Others describe how pixels are stored, most of all in TIFF files.
_KEPT_TAGS = (
    ExifTags.Base.DocumentName,
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ORIENTATION,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    ExifTags.Base.DateTimeOriginal,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)
_SIZE_TAGS = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Larger EXIF is no camera's, and its values may take a hundred times as much memory.
_MAX_EXIF_BYTES = 2**20
_MAX_JPEG_SEGMENT = 65_533
# XMP's segment begins with its name, of 29 bytes.
_MAX_JPEG_XMP = _MAX_JPEG_SEGMENT - 29
_IPTC_RESOURCE = 0x0404
_XMP_SIZES = rb"(?:tiff:Image(?:Width|Length)|exif:Pixel[XY]Dimension|xmpNote:HasExtendedXMP)"
_XMP_ATTRIBUTE = re.compile(rb"\s" + _XMP_SIZES + rb"""=(?:"[^"<]*"|'[^'<]*')""")
_XMP_ELEMENT = re.compile(rb"<(" + _XMP_SIZES + rb")>[^<]*</\1>")


@dataclass(frozen=True)
class Metadata:
    """EXIF, XMP, IPTC's records, a comment, and a PNG's text as type and content of its chunks."""

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    png_text: tuple[tuple[bytes, bytes], ...] = ()

    def save_options(self, format: str) -> dict[str, Any]:
        """Return what Pillow's `save` takes, as far as the format ("png", ...) has it."""
        if format == "jpg":
            return self._jpeg_options()
        if format == "gif":
            return {"comment": self.comment} if self.comment else {}
        options: dict[str, Any] = {"exif": self.exif} if self.exif else {}
        if format == "webp" and self.xmp:
            options["xmp"] = self.xmp
        if format == "png":
            options["pnginfo"] = self._png_chunks()
        return options

    def _jpeg_options(self) -> dict[str, Any]:
        """Return what fits into segments."""
        options: dict[str, Any] = {}
        if self.exif and len(self.exif) <= _MAX_JPEG_SEGMENT:
            options["exif"] = self.exif
        if self.xmp and len(self.xmp) <= _MAX_JPEG_XMP:
            options["xmp"] = self.xmp
        if self.comment and len(self.comment) <= _MAX_JPEG_SEGMENT:
            options["comment"] = self.comment
        if self.iptc:
            segment = b"Photoshop 3.0\0" + _resource(self.iptc)
            if len(segment) <= _MAX_JPEG_SEGMENT:
                options["extra"] = b"\xff\xed" + (len(segment) + 2).to_bytes(2) + segment
        return options

    def _png_chunks(self) -> PngImagePlugin.PngInfo:
        chunks = PngImagePlugin.PngInfo()
        for kind, content in self.png_text:
            chunks.add(kind, content)
        if self.comment:
            chunks.add_itxt("Comment", self.comment.decode("utf-8", "replace"))
        if self.iptc:
            content = _resource(self.iptc)
            text = f"\niptc\n{len(content):8}\n{content.hex()}\n"
            chunks.add_text("Raw profile type iptc", text)
        if self.xmp:
            # Uncompressed: programs refuse compressed text that is long.
            chunks.add_itxt("XML:com.adobe.xmp", self.xmp)
        return chunks


def _resource(iptc: bytes) -> bytes:
    """Return IPTC's records as Photoshop's resource, in which JPEG and PNG keep them."""
    header = b"8BIM" + _IPTC_RESOURCE.to_bytes(2) + b"\0\0" + len(iptc).to_bytes(4)
    return header + iptc + bytes(len(iptc) % 2)


NO_METADATA = Metadata()


def read_metadata(image: Image.Image, data: bytes) -> Metadata:
    """Return the metadata of an image that was opened from `data` by `open_image`, not yet loaded.

    Damaged EXIF is left out. Errors of the machine are raised unchanged.
    """
    exif = image.info.get("exif", b"")
    if image.format == "TIFF":
        exif = data  # its tags are EXIF's
    elif len(exif) > _MAX_EXIF_BYTES:
        exif = b""
    xmp = image.info.get("xmp")
    return Metadata(
        exif=_kept_exif(exif) if exif else None,
        xmp=_kept_xmp(xmp) if isinstance(xmp, bytes) else None,
        iptc=image.info.get("photoshop", {}).get(_IPTC_RESOURCE),
        comment=image.info.get("comment") if image.format in ("JPEG", "MPO", "GIF") else None,
        png_text=image.info.get("png_text", ()),
    )


def _kept_exif(data: bytes) -> bytes | None:
    """Return EXIF without what does not hold for an enlarged picture; None if nothing is left."""
    original, kept = Image.Exif(), Image.Exif()
    try:
        original.load(data)
        kept.endian = original.endian
        for tag in _KEPT_TAGS:
            if tag in original and _can_be_written(tag, original[tag]):
                kept[tag] = 1 if tag == ORIENTATION else original[tag]
        inner = {tag: _kept_entries(original, tag) for tag in _DIRECTORIES if tag in original}
        for directory, entries in inner.items():
            if entries:
                kept.get_ifd(directory).update(entries)
        return kept.tobytes() if len(kept) or any(inner.values()) else None
    except Exception as error:  # damaged EXIF makes Pillow raise nearly anything
        if is_machine_fault(error):
            raise
        return None


def _kept_entries(exif: Image.Exif, directory: int) -> dict[int, Any]:
    entries = dict(exif.get_ifd(directory))
    if ExifTags.IFD.Interop in entries:
        entries[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
    return {
        tag: value
        for tag, value in entries.items()
        if tag not in _SIZE_TAGS and _can_be_written(tag, value, directory)
    }


def _can_be_written(tag: int, value: Any, directory: int | None = None) -> bool:
    """Return whether Pillow can write a tag's value, which a damaged file may have of any type."""
    exif = Image.Exif()
    try:
        if directory is None:
            exif[tag] = value
        else:
            exif.get_ifd(directory)[tag] = value
        exif.tobytes()
    except Exception as error:
        if is_machine_fault(error):
            raise
        return False
    return True


def _kept_xmp(xmp: bytes) -> bytes:
    xmp = _XMP_ATTRIBUTE.sub(b"", _without_thumbnails(xmp))
    return XMP_ORIENTATION.sub(rb"\g<1>1", _XMP_ELEMENT.sub(b"", xmp))


def _without_thumbnails(xmp: bytes) -> bytes:
    first, last = b"<xmp:Thumbnails>", b"</xmp:Thumbnails>"
    start, end = xmp.find(first), xmp.rfind(last)
    return xmp if not 0 <= start < end else xmp[:start] + xmp[end + len(last) :]
