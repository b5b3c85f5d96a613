"""guidellm, which measures an engine: three prompts, one after the other and all at once."""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from features import MODEL, report

HOME = Path(mkdtemp(prefix="guidellm-"))
ASKED = HOME / "prompts.jsonl"
ASKED.write_text("".join(f'{{"prompt": "Say {word}."}}\n' for word in ("one", "two", "three")))
ENGINE = f"kind=openai_http,target={os.environ['OPENAI_BASE_URL'].removesuffix('/v1')},model={MODEL}"


def measured(profile):
    command = [str(Path(sys.executable).with_name("guidellm")), "run", "--disable-console", "--profile", profile]
    command += ["--backend", f"{ENGINE},api_key={os.environ['OPENAI_API_KEY']}"]
    command += ["--constraint", "kind=max_requests,count=3", "--data", f"kind=json_file,path={ASKED}"]
    command += ["--output", f"kind=json,path={HOME / 'report.json'}"]
    # It has no hub to ask, and tokens are what the engine counts.
    done = subprocess.run(
        command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=True
    )
    (*_, last) = re.findall(r"successful=(\d+) errored=(\d+)", done.stdout + done.stderr)
    return {"answers": int(last[0]), "wrong": int(last[1])}


def parallel():
    return measured("kind=concurrent,streams=3")


def one_by_one():
    return measured("kind=synchronous")


report(one_by_one, parallel)
