"""JSON schema of `params.yaml`, by which editors complete and check it.

`python -m pipeline.params.schema > params.schema.json` writes it anew.
"""

import json

from pipeline.params import Params


def schema_text() -> str:
    """Return the contents of `params.schema.json`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema"
    } | Params.model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
