from collections.abc import Sequence as Seq

from glm3edge.engine.embedder import Embedding
from glm3edge.engine.scheduler import Scheduler
from glm3edge.engine.sequence import Generation, GenerationRequest, Sequence


def generation(num_tokens: int) -> Generation:
    request = GenerationRequest(prompt_ids=list(range(num_tokens)), max_new_tokens=8)
    return Generation(request, sink=lambda _event: None)


def embedding(num_tokens: int) -> Embedding:
    return Embedding(list(range(num_tokens)), sink=lambda _event: None)


def admit(scheduler: Scheduler) -> Seq[Sequence]:
    admitted = scheduler.admit()
    for sequence, slot in admitted:
        sequence.slot = slot
    return [sequence for sequence, _ in admitted]


def test_first_come_first_served_over_the_slots() -> None:
    scheduler = Scheduler(max_running=2, batch_size=8)
    first, second, third = generation(1), generation(1), generation(1)
    for sequence in (first, second, third):
        scheduler.add(sequence)
    assert admit(scheduler) == [first, second]
    assert {first.slot, second.slot} == {0, 1}
    assert admit(scheduler) == []
    scheduler.remove(first)
    assert admit(scheduler) == [third]
    assert third.slot == first.slot


def test_a_waiting_sequence_can_be_removed() -> None:
    scheduler = Scheduler(max_running=1, batch_size=8)
    first, second = generation(1), generation(1)
    scheduler.add(first)
    scheduler.add(second)
    admit(scheduler)
    scheduler.remove(second)
    scheduler.remove(first)
    assert admit(scheduler) == []
    assert not scheduler.running
    assert not scheduler.waiting


def test_long_prompts_are_cut_to_the_batch() -> None:
    scheduler = Scheduler(max_running=1, batch_size=8)
    sequence = generation(20)
    scheduler.add(sequence)
    admit(scheduler)
    sizes = []
    while sequence.num_pending:
        (work,) = scheduler.plan()
        sizes.append((work.num_tokens, work.completes))
        sequence.num_computed += work.num_tokens
    assert sizes == [(8, False), (8, False), (4, True)]


def test_replies_under_way_go_before_prompts() -> None:
    scheduler = Scheduler(max_running=2, batch_size=8)
    prompt, reply = generation(20), generation(5)
    scheduler.add(prompt)
    scheduler.add(reply)
    admit(scheduler)
    reply.num_computed = 4
    assert [(work.sequence, work.num_tokens) for work in scheduler.plan()] == [
        (reply, 1),
        (prompt, 7),
    ]


def test_an_embedding_runs_alone() -> None:
    scheduler = Scheduler(max_running=3, batch_size=8)
    first, vector, last = generation(1), embedding(1), generation(1)
    for sequence in (first, vector, last):
        scheduler.add(sequence)
    assert admit(scheduler) == [first]
    scheduler.remove(first)
    assert admit(scheduler) == [vector]
    scheduler.remove(vector)
    assert admit(scheduler) == [last]
