"""Where stages keep what they hand over, from the project's folder."""

from pathlib import Path

DATA = Path("data")
RAW = DATA / "raw"
RESIZED = DATA / "resized"
MANIFEST = DATA / "manifest.csv"
STORE = DATA / ".store"
MODELS = Path("models")
GENERATOR = MODELS / "generator.safetensors"
REPORTS = Path("reports")
