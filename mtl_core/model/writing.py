"""The pretrained part of a backbone that writes: the decoder of an encoder–decoder, or a causal transformer's language-model head.

Its own parameters belong to the head of the task that writes; the encoder's stay shared. What it shares with the encoder as a matrix, the
word embeddings, it reads and does not move: they move by what the encoder reads.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from mtl_core.tasks.heads import Taught, Tokens, n_taught


class Backbone(Protocol):
    """What is needed of `mtl_core.model.encoder.Encoder`."""

    model: Any

    @property
    def embeddings(self) -> Tensor: ...
    def pad(self) -> None: ...
    def template(self) -> Any: ...


def padded(flat: Tensor, lengths: Tensor, value: float = 0) -> tuple[Tensor, Tensor]:
    """(T, ...) of texts one after another → (R, longest, ...), and (R, longest) bool: where there is something."""
    seen = torch.arange(int(lengths.max()), device=flat.device) < lengths[:, None]
    return pad_sequence(list(flat.split(lengths.tolist())), batch_first=True, padding_value=value), seen


@dataclass
class WriterState:
    """Of B texts that are being written. cache: keys and values so far; seen: (B, S) what the model may look at of the prompt, and of what
    is written (causal), as a mask; memory: (B, S, hidden) states of the prompt; inputs: (B, S) and positions: (B,) of the next step."""

    cache: Any
    seen: Tensor
    inputs: Tensor
    memory: Tensor | None = None
    positions: Tensor | None = None

    def pick(self, rows: Tensor) -> "WriterState":
        """The texts `rows` (B',), each any number of times. This state is used up."""
        self.cache.reorder_cache(rows)
        return WriterState(self.cache, *(None if t is None else t[rows] for t in (self.seen, self.inputs, self.memory, self.positions)))  # type: ignore[arg-type]


class Tied(nn.Module):
    """A matrix that is the encoder's word embeddings: of words to be looked up, or of scores over all words."""

    def __init__(self, encoder: Backbone, module: nn.Module):
        super().__init__()
        self._encoder = (encoder,)
        self._looks_up, self._scale = isinstance(module, nn.Embedding), float(getattr(module, "embed_scale", 1.0))

    def forward(self, inputs: Tensor) -> Tensor:
        table = self._encoder[0].embeddings.detach()
        return F.embedding(inputs, table) * self._scale if self._looks_up else F.linear(inputs, table)


class Seq2SeqWriter(nn.Module):
    """The decoder of T5, BART and their kin: log p(y_t | y_<t, states of the text's tokens), by cross-attention.

    pretrained: its parameters move at the encoder's learning rate. end: id that ends what is written.
    """

    pretrained = True

    def __init__(self, encoder: Backbone, model: Any):
        """model: of AutoModelForSeq2SeqLM; what the encoder has of it is taken out."""
        super().__init__()
        self.start = _id(model.config, "decoder_start_token_id", "bos_token_id", "pad_token_id")
        self.end = _id(model.config, "eos_token_id")
        owner = next(m for m in model.modules() if getattr(m, "encoder", None) is model.get_encoder())
        table = model.get_input_embeddings().weight
        tied = [(name, module) for name, module in model.named_modules() if getattr(module, "weight", None) is table]
        for name, module in tied:
            model.set_submodule(name, Tied(encoder, module))
        owner.encoder = nn.Identity()
        self.model = model

    def teach(self, vectors: Tensor, source: Tokens, target: Tokens, longest: int) -> Taught:
        memory, seen = self._read(vectors, source)
        lengths = target.offsets.diff()
        ends = torch.full((len(lengths), 1), self.end, device=vectors.device)
        ids = padded(target.ids, lengths)[0][:, :longest] if len(target.ids) else ends[:, :0]
        inputs = torch.cat([torch.full_like(ends, self.start), ids], 1)
        logits = self.model(
            encoder_outputs=BaseModelOutput(memory), attention_mask=seen.long(), decoder_input_ids=inputs, use_cache=False
        ).logits
        wanted = torch.cat([ids, ends], 1).scatter(1, lengths.clamp(max=longest)[:, None], self.end)
        kept = torch.arange(wanted.shape[1], device=vectors.device) < n_taught(lengths, lengths, longest)[:, None]
        return Taught(logits[kept], wanted[kept], kept.nonzero()[:, 0])

    def begin(self, vectors: Tensor, source: Tokens) -> WriterState:
        memory, seen = self._read(vectors, source)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        return WriterState(cache, seen.long(), torch.full((len(memory), 1), self.start, device=vectors.device), memory)

    def step(self, state: WriterState, ids: Tensor | None) -> Tensor:
        if ids is not None:
            state.inputs = ids[:, None]
        return self.model(
            encoder_outputs=BaseModelOutput(state.memory),
            attention_mask=state.seen,
            decoder_input_ids=state.inputs,
            past_key_values=state.cache,
            use_cache=True,
        ).logits[:, -1]

    def pick(self, state: WriterState, rows: Tensor) -> WriterState:
        return state.pick(rows)

    def _read(self, vectors: Tensor, source: Tokens) -> tuple[Tensor, Tensor]:
        assert source.index is not None  # a slot that reads tokens
        return padded(vectors[source.index], source.offsets.diff())


class CausalWriter(nn.Module):
    """The head of GPT-2, Qwen and their kin: log p(y_t | text, y_<t) = log softmax(W h), h the state of the token before in the shared
    transformer, which reads the target behind the text (see `Slot.continues`)."""

    pretrained = True

    def __init__(self, encoder: Backbone, model: Any):
        """model: of AutoModelForCausalLM, of which the last matrix is kept."""
        super().__init__()
        output = model.get_output_embeddings()
        self.output = Tied(encoder, output) if output.weight is model.get_input_embeddings().weight else output
        self._encoder = (encoder,)
        self._furthest = int(getattr(model.config, "max_position_embeddings", 2**31)) - 1

    @cached_property
    def template(self) -> Any:
        return self._encoder[0].template()

    @property
    def end(self) -> int:
        return int(self.template.pair[2][0])

    def teach(self, vectors: Tensor, source: Tokens, target: Tokens, longest: int) -> Taught:
        assert source.index is not None  # a slot that reads tokens
        n_rows, device = len(source.offsets) - 1, vectors.device
        n = torch.zeros(n_rows, dtype=torch.long, device=device).index_add_(0, source.rows, (source.part == 1).long())
        first = source.offsets[1:] - len(self.template.pair[2]) - n  # of each row, where its target begins
        taught = n_taught(n, target.offsets.diff(), longest)
        rows = torch.repeat_interleave(torch.arange(n_rows, device=device), taught)
        at = first[rows] + torch.arange(len(rows), device=device) - (taught.cumsum(0) - taught)[rows]
        return Taught(self.output(vectors[source.index[at - 1]]), source.ids[at], rows)

    def begin(self, vectors: Tensor, source: Tokens) -> WriterState:
        before, between, _ = (torch.from_numpy(part).to(vectors.device) for part in self.template.pair)
        prompts = [torch.cat([before, ids[part == 0], between]) for ids, part in _by_row(source)]
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=vectors.device)
        inputs, seen = padded(torch.cat(prompts), lengths)
        return WriterState(DynamicCache(), seen.long(), inputs, positions=lengths)

    def step(self, state: WriterState, ids: Tensor | None) -> Tensor:
        encoder = self._encoder[0]
        assert state.positions is not None
        encoder.pad()
        if ids is None:
            positions, last = torch.arange(state.inputs.shape[1], device=state.inputs.device)[None], state.positions - 1
        else:
            state.inputs, state.seen = ids[:, None], F.pad(state.seen, (0, 1), value=1)
            positions, last = state.positions[:, None], torch.zeros_like(ids)
            state.positions = state.positions + 1
        states = encoder.model(
            input_ids=state.inputs,
            attention_mask=state.seen,
            position_ids=positions.expand(state.inputs.shape).clamp(max=self._furthest),
            past_key_values=state.cache,
            use_cache=True,
        ).last_hidden_state
        return self.output(states[torch.arange(len(last), device=last.device), last].float())

    def pick(self, state: WriterState, rows: Tensor) -> WriterState:
        return state.pick(rows)


def _id(config: Any, *names: str) -> int:
    """The first of these ids that a configuration has; of several, the first."""
    found = next((value for name in names if (value := getattr(config, name, None)) is not None), 0)
    return int(found[0] if isinstance(found, list) else found)


def _by_row(tokens: Tokens) -> list[tuple[Tensor, Tensor]]:
    lengths = tokens.offsets.diff().tolist()
    return list(zip(tokens.ids.split(lengths), tokens.part.split(lengths), strict=True))
