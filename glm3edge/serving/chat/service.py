"""Chat service: prepares a request, runs its generations, returns the reply whole or streamed."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial

from glm3edge.chatglm3.vocabulary import Vocabulary
from glm3edge.engine.async_stream import gather, merge, stream_events
from glm3edge.engine.interface import InferenceEngine
from glm3edge.llama.guidance import Guide
from glm3edge.schema.chat import ChatChunk, ChatReply, ChatRequest, Choice
from glm3edge.serving.chat.chunks import first_chunk, item_chunk, usage_chunk
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.chat.parts import ChatFinished, ReplyItem, merged, read
from glm3edge.serving.chat.prepare import ChatPreparer
from glm3edge.serving.chat.reply import make_choice
from glm3edge.serving.generation import ModelNames
from glm3edge.serving.streams import closing_on_exit


class ChatService:
    """Chat completions of one model and its adapters: see ``ModelNames``."""

    def __init__(
        self,
        engine: InferenceEngine,
        vocabulary: Vocabulary,
        *,
        model_id: str,
        adapter_ids: Sequence[str] = (),
        guide: Guide | None = None,
        clamp_max_tokens: bool = False,
    ) -> None:
        """Create a service.

        Args:
            engine: computes the replies; its owner starts and closes it.
            vocabulary: of the model.
            model_id: name of the model.
            adapter_ids: names of its adapters, in the backend's order.
            guide: compiles grammars, the engine's; without one replies are unconstrained.
            clamp_max_tokens: a request that asks for more new tokens than fit gets those that fit.
        """
        self._engine = engine
        self._preparer = ChatPreparer(
            engine,
            vocabulary,
            ModelNames(model_id, tuple(adapter_ids)),
            guide=guide,
            clamp_max_tokens=clamp_max_tokens,
        )

    def prepare(self, request: ChatRequest, *, clamp_max_tokens: bool = False) -> ChatJob:
        """Check a request and encode its prompt. May take a while; blocks.

        ``clamp_max_tokens`` is for requests of an API whose clients cannot leave out the limit.

        Raises:
            InvalidRequestError: a field asks for what this server cannot do.
            ContextLengthExceededError: prompt and reply do not fit the context.
        """
        return self._preparer.prepare(request, clamp_max_tokens=clamp_max_tokens)

    def count_prompt_tokens(self, request: ChatRequest) -> int:
        """Number of tokens of a request's prompt, whether it fits the context or not. Blocks.

        Raises:
            InvalidRequestError: a message has no meaning where it stands.
        """
        return self._preparer.count_prompt_tokens(request)

    async def complete(self, job: ChatJob) -> ChatReply:
        """Run ``job`` and return the whole reply."""
        made = await gather(self._choice(job, index) for index in range(len(job.generations)))
        return ChatReply(
            id=job.id,
            created=job.created,
            model=job.model,
            choices=[choice for choice, _ in made],
            usage=job.usage([end for _, end in made]),
            truncation=job.truncation,
        )

    async def stream(self, job: ChatJob) -> AsyncGenerator[ChatChunk, None]:
        """Run ``job`` and yield the reply in chunks.

        First the role of each choice; then text and calls as they come, and each choice's finish
        reason; last the usage, if it was asked for.
        """
        indices = range(len(job.generations))
        for index in indices:
            yield first_chunk(job, index)
        ends: list[ChatFinished] = []
        async with closing_on_exit(merge([self._run(job, index) for index in indices])) as items:
            async for index, item in items:
                if isinstance(item, ChatFinished):
                    ends.append(item)
                yield item_chunk(job, index, item)
        if job.include_usage:
            yield usage_chunk(job, ends)

    async def _choice(self, job: ChatJob, index: int) -> tuple[Choice, ChatFinished]:
        """One whole choice, and its ending."""
        async with closing_on_exit(self._run(job, index)) as items:
            return make_choice(index, [item async for item in items])

    async def _run(self, job: ChatJob, index: int) -> AsyncGenerator[ReplyItem, None]:
        """Run one generation: its parts, then its ending. What comes at once is one part, where
        it can be.

        The engine's thread reads parts only where it has to look for stop strings: its time is
        dearer.
        """
        generation = job.generations[index]
        reader = None if generation.stop_strings else job.make_reader(())
        events = stream_events(partial(self._engine.generate, generation))
        async with closing_on_exit(events):
            async for arrived in events:
                for item in merged(arrived if reader is None else read(reader, arrived)):
                    yield item
