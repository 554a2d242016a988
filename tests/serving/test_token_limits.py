import pytest

from glm3edge.errors import ContextLengthExceededError
from glm3edge.serving.token_limits import new_token_limit, reserved_tokens


@pytest.mark.parametrize(
    ("num_prompt_tokens", "max_new_tokens", "limit"),
    [(10, None, 90), (10, 90, 90), (10, 1, 1), (99, None, 1), (1, 99, 99)],
)
def test_what_fits(num_prompt_tokens: int, max_new_tokens: int | None, limit: int) -> None:
    assert (
        new_token_limit(
            num_prompt_tokens=num_prompt_tokens,
            max_new_tokens=max_new_tokens,
            context_size=100,
            param="messages",
        )
        == limit
    )


@pytest.mark.parametrize(
    ("num_prompt_tokens", "max_new_tokens", "asked"),
    [
        (10, 91, 91),
        (10, 99, 99),
        (10, 100, 100),
        (10, 20_000, 20_000),
        (1, 100, 100),
        (100, None, 1),
        (100, 1, 1),
        (5000, None, 1),
        (100, 500, 500),
    ],
)
def test_what_does_not(num_prompt_tokens: int, max_new_tokens: int | None, asked: int) -> None:
    with pytest.raises(ContextLengthExceededError) as caught:
        new_token_limit(
            num_prompt_tokens=num_prompt_tokens,
            max_new_tokens=max_new_tokens,
            context_size=100,
            param="messages",
        )
    error = caught.value
    assert (error.num_prompt_tokens, error.num_new_tokens, error.context_size) == (
        num_prompt_tokens,
        asked,
        100,
    )
    for number in (num_prompt_tokens, asked, 100):
        assert str(number) in str(error)
    assert ("--clamp-max-tokens" in str(error)) == (num_prompt_tokens < 100)


@pytest.mark.parametrize(
    ("max_new_tokens", "limit"), [(None, 90), (500, 90), (95, 90), (90, 90), (3, 3)]
)
def test_what_is_clamped(max_new_tokens: int | None, limit: int) -> None:
    assert (
        new_token_limit(
            num_prompt_tokens=10,
            max_new_tokens=max_new_tokens,
            context_size=100,
            param="messages",
            clamp=True,
        )
        == limit
    )


@pytest.mark.parametrize(
    ("context_size", "num_tokens"), [(8192, 1024), (4096, 1024), (1024, 256), (3, 0)]
)
def test_what_is_kept_free_for_a_reply(context_size: int, num_tokens: int) -> None:
    assert reserved_tokens(context_size) == num_tokens
