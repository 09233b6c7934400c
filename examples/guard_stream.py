"""Guard the stream of any OpenAI-compatible endpoint in your own program.

    python examples/guard_stream.py http://127.0.0.1:8000/v1 "How do I bake bread?"
                                    [--guard DIR] [--model NAME]

Works with vLLM, llama.cpp, Ollama, or a hosted endpoint; the key in OPENAI_API_KEY is sent along.
Text is printed as it is checked. Exit code 0: the whole answer; 3: blocked, and the clauses are on
stderr. Needs `pip install 'charter-cai[remote]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import openai

from charter.guard.inprocess import Blocked, Guard
from charter.records import Message

BLOCKED = 3


async def chunks(
    client: openai.AsyncOpenAI, model: str | None, messages: Sequence[Message]
) -> AsyncGenerator[str, None]:
    """The answer's text as the endpoint sends it. Nothing is checked yet."""
    name = model or (await client.models.list()).data[0].id
    asked = [{"role": message.role, "content": message.content} for message in messages]
    answer = await client.chat.completions.create(model=name, messages=asked, stream=True)
    async with answer:
        async for chunk in answer:
            for choice in chunk.choices[:1]:
                if choice.delta.content:
                    yield choice.delta.content


async def answer(options: argparse.Namespace) -> int:
    """Print what was checked; the exit code."""
    guard = Guard.load(options.guard)
    messages = (Message("user", options.prompt),)
    key = os.environ.get("OPENAI_API_KEY", "none")
    async with openai.AsyncOpenAI(base_url=options.url, api_key=key) as client:
        # On a block the stream is closed at once, so the endpoint can stop writing.
        source = chunks(client, options.model, messages)
        try:
            async with aclosing(source):
                # The conversation is checked first: a blocked one never reaches the endpoint.
                async for text in guard.stream(messages, source):
                    print(text, end="", flush=True)
        except Blocked as block:
            print(f"\nBlocked: {', '.join(block.decision.clauses)}", file=sys.stderr)
            return BLOCKED
    print()
    return 0


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Guard the stream of any endpoint.")
    parser.add_argument("url", help="base URL; ends in /v1")
    parser.add_argument("prompt", help="what to ask")
    parser.add_argument("--guard", default="default", help="folder of a guard")
    parser.add_argument("--model", help="model to ask for; else the first that is listed")
    sys.exit(asyncio.run(answer(parser.parse_args())))


if __name__ == "__main__":
    main()
