import pytest

from glm3edge.core import SamplingParams
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.request import GenerationRequest
from glm3edge.engine.scheduler import Work
from glm3edge.engine.sequence import Generation
from glm3edge.engine.speculation import MAX_DRAFTS, Speculator


def generation(text: str = "abcabcabc", max_new_tokens: int = 100) -> Generation:
    """A reply that is about to get its next token."""
    prompt_ids = [ord(c) for c in text]
    request = GenerationRequest(prompt_ids=prompt_ids, max_new_tokens=max_new_tokens)
    sequence = Generation(request, lambda _event: None)
    sequence.num_computed = len(prompt_ids) - 1
    return sequence


def batch_timing(seconds_per_token: float) -> BatchTiming:
    """Batches take a second, and so much more for each token after the first."""
    batch_timing = BatchTiming()
    for num_tokens in (1, 2, 3, 4, 5, 6, 8, 16, 32, 64):
        batch_timing.observe(num_tokens, 1 + seconds_per_token * (num_tokens - 1))
    return batch_timing


def num_drafts(sequences: list[Generation], *, cost: float, budget: int = 100) -> list[int]:
    batch = [Work(sequence, 1) for sequence in sequences]
    Speculator(batch_timing(cost)).draft(batch, budget=budget)
    return [len(sequence.draft_ids) for sequence in sequences]


def test_drafts_that_cost_nothing_are_made() -> None:
    sequence = generation()
    assert num_drafts([sequence], cost=0.0) == [MAX_DRAFTS]
    assert bytes(sequence.draft_ids) == b"abcabcabcabcabca"


@pytest.mark.parametrize(
    ("cost", "rate", "is_worth_it"),
    [(0.05, 0.9, True), (0.05, 0.3, True), (0.5, 0.9, True), (0.5, 0.3, False), (1.0, 0.99, False)],
)
def test_whether_to_draft_depends_on_cost_and_success(
    cost: float, rate: float, is_worth_it: bool
) -> None:
    sequence = generation()
    sequence.acceptance.rate = rate
    assert (num_drafts([sequence], cost=cost) > [0]) == is_worth_it


def test_the_surer_the_more() -> None:
    counts = []
    for rate in (0.3, 0.6, 0.9, 0.99):
        sequence = generation("abcdefghijklmnop" * 2)
        sequence.acceptance.rate = rate
        counts += num_drafts([sequence], cost=0.1)
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] <= MAX_DRAFTS


def test_what_is_not_tried_is_tried_again_later() -> None:
    sequence = generation()
    sequence.acceptance.rate = 0.01
    counts = [num_drafts([sequence], cost=0.3)[0] for _ in range(200)]
    assert counts[0] == 0
    assert any(counts)


def test_the_room_is_shared() -> None:
    assert num_drafts([generation(), generation()], cost=0.0, budget=20) == [16, 4]
    assert num_drafts([generation(), generation()], cost=0.0, budget=0) == [0, 0]


@pytest.mark.parametrize(("max_new_tokens", "count"), [(1, 0), (2, 1), (4, 3), (100, MAX_DRAFTS)])
def test_no_draft_goes_beyond_the_reply(max_new_tokens: int, count: int) -> None:
    assert num_drafts([generation(max_new_tokens=max_new_tokens)], cost=0.0) == [count]


def test_nothing_is_drafted_where_a_seed_asks_for_the_same_text_again() -> None:
    request = GenerationRequest(
        prompt_ids=[1, 2, 3, 1, 2, 3], max_new_tokens=9, sampling=SamplingParams(seed=1)
    )
    sequence = Generation(request, lambda _event: None)
    assert num_drafts([sequence], cost=0.0) == [0]


def test_beside_a_prompt_nothing_is_drafted() -> None:
    replying, arriving = generation(), generation()
    arriving.num_computed = 0
    replying.draft_ids = [1, 2]
    Speculator(batch_timing(0.0)).draft([Work(replying, 1), Work(arriving, 9)], budget=100)
    assert (replying.draft_ids, arriving.draft_ids) == ([], [])
