"""Names of remote models: what is understood, what is refused, what is written down."""

from __future__ import annotations

import pytest

from charter.errors import InputError
from charter.models.endpoint import Address, address, is_remote


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("openai:gpt-x", Address("openai", "gpt-x")),
        ("openai:org/m@http://h:1/v1/", Address("openai", "org/m", ("http://h:1/v1",))),
        (
            "openai:m@http://a/v1,http://b/v1",
            Address("openai", "m", ("http://a/v1", "http://b/v1")),
        ),
        ("openai:m@2024@https://h", Address("openai", "m@2024", ("https://h",))),
        ("openai:ft:gpt:x", Address("openai", "ft:gpt:x")),
        ("anthropic:claude-x", Address("anthropic", "claude-x")),
    ],
)
def test_names_that_are_understood(name: str, found: Address) -> None:
    assert is_remote(name)
    assert address(name) == found


@pytest.mark.parametrize("name", ["embedded", "org/model", "./openai", "C:model"])
def test_names_of_local_models(name: str) -> None:
    assert not is_remote(name)


@pytest.mark.parametrize("name", ["openai:", "openai:m@http://", "openai:m@http://a,ftp://b"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected openai:NAME"):
        address(name)


@pytest.mark.parametrize("url", ["http://me:hush@h/v1", "http://h/v1?key=hush"])
def test_a_name_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InputError) as caught:
        address(f"openai:m@{url}")
    assert "hush" not in str(caught.value)


def test_an_identity_tells_models_and_servers_apart_but_not_replicas() -> None:
    one = address("openai:m@http://a/v1").identity
    assert one == address("openai:m@http://a/v1,http://b/v1").identity
    others = {
        address(n).identity for n in ("openai:m", "openai:n@http://a/v1", "openai:m@http://b/v1")
    }
    assert one not in others and len(others) == 3
    assert "http" not in one
