import pytest

from glm3edge.core import Priority
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.embedding import Embedding
from glm3edge.engine.request import GenerationRequest
from glm3edge.engine.scheduler import Scheduler
from glm3edge.engine.sequence import EngineSequence, Generation

CELLS = 1000


def generation(
    num_tokens: int, priority: Priority = Priority.INTERACTIVE, adapter: int = 0
) -> Generation:
    request = GenerationRequest(
        prompt_ids=list(range(num_tokens)), max_new_tokens=8, priority=priority, adapter=adapter
    )
    return Generation(request, sink=lambda _event: None)


def reply(
    num_tokens: int = 5, priority: Priority = Priority.INTERACTIVE, adapter: int = 0
) -> Generation:
    """A generation whose prompt is computed."""
    sequence = generation(num_tokens, priority, adapter)
    sequence.num_computed = num_tokens - 1
    return sequence


def embedding(num_tokens: int) -> Embedding:
    return Embedding(list(range(num_tokens)), sink=lambda _event: None)


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(max_running=3, batch_size=8, batch_timing=BatchTiming())


def run(scheduler: Scheduler, *sequences: EngineSequence) -> None:
    for sequence in sequences:
        scheduler.add(sequence)
        scheduler.run(sequence)


def test_interactive_before_background_and_else_in_order(scheduler: Scheduler) -> None:
    slow, first, second = generation(1, Priority.BACKGROUND), generation(1), generation(1)
    for sequence in (slow, first, second):
        scheduler.add(sequence)
    assert scheduler.waiting == [first, second, slow]


def test_the_preempted_keep_their_rank(scheduler: Scheduler) -> None:
    first, second, third = generation(1), generation(1), generation(1)
    run(scheduler, first, second)
    scheduler.add(third)
    scheduler.preempt(second)
    assert scheduler.waiting == [second, third]
    assert scheduler.running == [first]


def test_it_is_full(scheduler: Scheduler) -> None:
    seen = []
    for _ in range(3):
        run(scheduler, generation(1))
        seen.append(scheduler.is_full)
    scheduler.remove(scheduler.running[0])
    assert [*seen, scheduler.is_full] == [False, False, True, False]


def test_who_is_preempted_first(scheduler: Scheduler) -> None:
    assert scheduler.victim() is None
    background, first, second = generation(1, Priority.BACKGROUND), generation(1), generation(1)
    run(scheduler, background, first, second)
    assert scheduler.victim() is background
    assert scheduler.victim(below=generation(1)) is background
    assert scheduler.victim(below=generation(1, Priority.BACKGROUND)) is None
    scheduler.remove(background)
    assert scheduler.victim() is second
    assert scheduler.victim(below=generation(1)) is None


def test_long_prompts_are_cut_to_the_batch(scheduler: Scheduler) -> None:
    sequence = generation(20)
    run(scheduler, sequence)
    sizes = []
    while sequence.num_pending:
        (work,) = scheduler.plan(CELLS)
        sizes.append((work.num_tokens, work.completes))
        sequence.num_computed += work.num_tokens
    assert sizes == [(8, False), (8, False), (4, True)]


def test_replies_under_way_go_before_prompts(scheduler: Scheduler) -> None:
    prompt, running = generation(20), reply()
    run(scheduler, prompt, running)
    assert [(work.sequence, work.num_tokens) for work in scheduler.plan(CELLS)] == [
        (running, 1),
        (prompt, 7),
    ]


def test_a_prompt_takes_no_more_time_than_its_pace_allows() -> None:
    batch_timing = BatchTiming(stretch=3)
    batch_timing.observe(1, 1.0)
    batch_timing.observe(8, 8.0)
    scheduler = Scheduler(max_running=3, batch_size=8, batch_timing=batch_timing)
    running, prompt = reply(), generation(20)
    run(scheduler, running, prompt)
    assert [work.num_tokens for work in scheduler.plan(CELLS)] == [1, 2]
    scheduler.remove(running)
    assert [work.num_tokens for work in scheduler.plan(CELLS)] == [8]


def test_the_first_prompt_takes_the_room(scheduler: Scheduler) -> None:
    first, second = generation(6), generation(6)
    run(scheduler, first, second)
    assert [(work.sequence, work.num_tokens) for work in scheduler.plan(CELLS)] == [
        (first, 6),
        (second, 2),
    ]


def test_no_more_tokens_than_cells(scheduler: Scheduler) -> None:
    running, prompt = reply(), generation(20)
    run(scheduler, running, prompt)
    assert [work.num_tokens for work in scheduler.plan(4)] == [1, 3]
    assert [work.num_tokens for work in scheduler.plan(1)] == [1]
    assert scheduler.plan(0) == []
    run(scheduler, reply())
    assert scheduler.plan(1) == []


def test_vectors_have_batches_of_their_own_and_take_turns(scheduler: Scheduler) -> None:
    running, first, second = reply(), embedding(3), embedding(4)
    run(scheduler, running, first, second)
    batches = [[work.sequence for work in scheduler.plan(CELLS)] for _ in range(4)]
    assert batches == [[first, second], [running], [first, second], [running]]
    scheduler.remove(running)
    assert [work.num_tokens for work in scheduler.plan(CELLS)] == [3, 4]
    assert [work.num_tokens for work in scheduler.plan(CELLS)] == [3, 4]


def turns(scheduler: Scheduler, count: int) -> list[int]:
    """Whose turn it is in batches that follow each other; each is of one adapter."""
    found = []
    for _ in range(count):
        (adapter,) = {work.sequence.adapter for work in scheduler.plan(CELLS)}
        found.append(adapter)
    return found


def slow_scheduler(seconds: float = 1.0) -> Scheduler:
    """Every batch takes ``seconds`` or more."""
    batch_timing = BatchTiming()
    batch_timing.observe(1, seconds)
    return Scheduler(max_running=8, batch_size=8, batch_timing=batch_timing)


def test_adapters_take_turns() -> None:
    scheduler = slow_scheduler()
    run(scheduler, reply(adapter=1), reply(), reply(adapter=2), reply(adapter=1))
    assert turns(scheduler, 7) == [0, 1, 2, 0, 1, 2, 0]
    assert [len(scheduler.plan(CELLS)) for _ in range(3)] == [2, 1, 1]


def test_a_turn_lasts_several_short_batches() -> None:
    scheduler = slow_scheduler(0.015)
    run(scheduler, reply(), reply(adapter=1))
    assert turns(scheduler, 9) == [0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_one_adapter_alone_needs_no_turns() -> None:
    scheduler = slow_scheduler()
    run(scheduler, reply(adapter=2), generation(5, adapter=2))
    assert turns(scheduler, 3) == [2, 2, 2]
    assert len(scheduler.plan(CELLS)) == 2


def test_who_comes_and_goes_gets_a_turn_and_no_more() -> None:
    scheduler = slow_scheduler()
    first, second = reply(), reply(adapter=1)
    run(scheduler, first, second)
    assert turns(scheduler, 3) == [0, 1, 0]
    late = generation(20, adapter=2)
    run(scheduler, late)
    assert turns(scheduler, 4) == [2, 1, 0, 2]
    scheduler.remove(second)
    assert turns(scheduler, 3) == [0, 2, 0]
    scheduler.preempt(late)
    assert turns(scheduler, 2) == [0, 0]


def test_adapters_with_background_work_alone_wait() -> None:
    scheduler = slow_scheduler()
    background = reply(priority=Priority.BACKGROUND, adapter=1)
    interactive = reply(adapter=2)
    beside = reply(priority=Priority.BACKGROUND, adapter=2)
    run(scheduler, background, interactive, beside)
    assert turns(scheduler, 3) == [2, 2, 2]
    assert len(scheduler.plan(CELLS)) == 2
    scheduler.remove(interactive)
    assert turns(scheduler, 4) == [1, 2, 1, 2]


def test_a_prompt_delays_the_replies_of_other_adapters_no_more_than_its_own() -> None:
    batch_timing = BatchTiming(stretch=3)
    batch_timing.observe(1, 1.0)
    batch_timing.observe(8, 8.0)
    scheduler = Scheduler(max_running=3, batch_size=8, batch_timing=batch_timing)
    running = reply()
    run(scheduler, running, generation(20, adapter=1))
    sizes = [[work.num_tokens for work in scheduler.plan(CELLS)] for _ in range(4)]
    assert sizes == [[1], [2], [1], [2]]
    scheduler.remove(running)
    run(scheduler, reply(priority=Priority.BACKGROUND))
    assert [work.num_tokens for work in scheduler.plan(CELLS)] == [8]


def test_vectors_take_turns_with_the_model_and_its_adapters() -> None:
    scheduler = slow_scheduler()
    vector, chat, adapted = embedding(3), reply(), reply(adapter=1)
    run(scheduler, vector, chat, adapted)
    batches = [[work.sequence for work in scheduler.plan(CELLS)] for _ in range(4)]
    assert batches == [[vector], [adapted], [chat], [adapted]]
