"""Draws what a prompt says inside an image that has Diffusers, and prints the picture as its result."""

import base64
import io
import json
import sys
from typing import Any

# Put in by the market: JSON in base64, so that nothing a renter wrote is ever part of the program.
ORDER = "@ORDER@"
UNAVAILABLE = 69
"""The exit status of a machine that cannot do this work, whatever was ordered (EX_UNAVAILABLE)."""


def load(model: str) -> Any:
    """Return the pipeline that draws."""
    import torch
    from diffusers import AutoPipelineForText2Image

    has_gpu = torch.cuda.is_available()
    pipeline = AutoPipelineForText2Image.from_pretrained(model, torch_dtype=torch.float16 if has_gpu else torch.float32)
    return pipeline.to("cuda" if has_gpu else "cpu")


def main() -> None:
    """Run the order."""
    order = json.loads(base64.b64decode(ORDER))
    print("[dc1-phase] loading_model", flush=True)
    try:
        pipeline = load(order["model"])
    except Exception as failure:
        # Nothing of the order can be at fault so far: the machine has no engine, or not the model, or no room for it.
        print(f"the model cannot be loaded: {type(failure).__name__}", file=sys.stderr)
        raise SystemExit(UNAVAILABLE) from None
    print("[dc1-phase] generating", flush=True)
    picture = pipeline(order["prompt"], **order["options"]).images[0]
    file = io.BytesIO()
    picture.save(file, format="PNG")
    result = {
        "type": "image",
        "image_base64": base64.b64encode(file.getvalue()).decode(),
        "format": "png",
        "model": order["model"],
    }
    print("\nDC1_RESULT_JSON:" + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
