"""Answers an order of inference inside an image that has vLLM or Transformers, and prints the answer as its result."""

import base64
import json
import sys
import time
from typing import Any

# Put in by the market: JSON in base64, so that nothing a renter wrote is ever part of the program.
ORDER = "@ORDER@"
UNAVAILABLE = 69
"""The exit status of a machine that cannot do this work, whatever was ordered (EX_UNAVAILABLE)."""


def load(model: str) -> Any:
    """Return a function that takes messages and the order, and returns text, tokens of the prompt and of the answer."""
    try:
        import vllm
    except ImportError:
        return load_transformers(model)
    engine = vllm.LLM(model=model)

    def answer(messages: list[dict[str, Any]], order: dict[str, Any]) -> tuple[str, int, int]:
        sampling = vllm.SamplingParams(
            max_tokens=order["max_tokens"], temperature=order["temperature"], **order["options"]
        )
        made = engine.chat(messages, sampling)[0]
        return made.outputs[0].text, len(made.prompt_token_ids), len(made.outputs[0].token_ids)

    return answer


def load_transformers(model: str) -> Any:
    """Return the same by the Transformers library."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, torch_dtype="auto").to(device)

    def answer(messages: list[dict[str, Any]], order: dict[str, Any]) -> tuple[str, int, int]:
        given = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(device)
        warmth = order["temperature"]
        how = {"do_sample": True, "temperature": warmth} if warmth > 0 else {"do_sample": False}
        if warmth > 0 and "top_p" in order["options"]:
            how["top_p"] = order["options"]["top_p"]
        made = network.generate(**given, max_new_tokens=order["max_tokens"], **how)
        begun = given["input_ids"].shape[-1]
        answered = made[0][begun:]
        return tokenizer.decode(answered, skip_special_tokens=True), begun, len(answered)

    return answer


def main() -> None:
    """Run the order."""
    order = json.loads(base64.b64decode(ORDER))
    print("[dc1-phase] loading_model", flush=True)
    try:
        answer = load(order["model"])
    except Exception as failure:
        # Nothing of the order can be at fault so far: the machine has no engine, or not the model, or no room for it.
        print(f"the model cannot be loaded: {type(failure).__name__}", file=sys.stderr)
        raise SystemExit(UNAVAILABLE) from None
    print("[dc1-phase] generating", flush=True)
    began = time.monotonic()
    text, prompt_tokens, completion_tokens = answer(order["messages"], order)
    result = {
        "type": "text",
        "response": text,
        "model": order["model"],
        "prompt_tokens": prompt_tokens,
        "tokens_generated": completion_tokens,
        "gen_time_s": round(time.monotonic() - began, 3),
    }
    print("\nDC1_RESULT_JSON:" + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
