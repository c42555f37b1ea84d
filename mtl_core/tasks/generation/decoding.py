"""What writes texts where the backbone cannot, a small decoder with a key–value cache; and how texts come out of any `Writer`."""

import math
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks.base import Spec
from mtl_core.tasks.frequencies import log_frequencies
from mtl_core.tasks.heads import Taught, Tokens, Vocabulary, Writer, n_taught

KeysValues = tuple[Tensor, Tensor]  # each (B, heads, length, hidden / heads)


@dataclass
class _Source:
    """What is read, padded, B rows of S tokens. mask: (B, S) bool; ids: (B, S); states: (B, S, hidden); keys: (B, S, hidden), of what may
    be copied; cross: each layer's keys and values, computed once."""

    mask: Tensor
    ids: Tensor
    states: Tensor
    keys: Tensor
    cross: list[KeysValues]

    def pick(self, rows: Tensor) -> "_Source":
        cross = [(k[rows], v[rows]) for k, v in self.cross]
        return _Source(self.mask[rows], self.ids[rows], self.states[rows], self.keys[rows], cross)


@dataclass
class _State:
    """rows: (B,) which text each of them reads; own: each layer's keys and values of the `length` tokens written so far."""

    source: _Source
    rows: Tensor
    own: list[KeysValues | None]
    length: int = 0


class DecoderLayer(nn.Module):
    """Causal self-attention, attention over the source, a feed-forward layer; each on normed input, with what came in added."""

    def __init__(self, hidden: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.before = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(3))
        self.own, self.own_out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.query, self.source, self.cross_out = nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * hidden), nn.Linear(hidden, hidden)
        self.feed = nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden))
        self.drop = nn.Dropout(dropout)

    def keys_values(self, states: Tensor) -> KeysValues:
        """Of the source's states (B, S, hidden)."""
        keys, values = self.source(states).chunk(2, -1)
        return self._apart(keys), self._apart(values)

    def forward(self, x: Tensor, own: KeysValues | None, cross: KeysValues, mask: Tensor) -> tuple[Tensor, KeysValues]:
        """x: (B, L, hidden); own: of earlier tokens, then L is 1; mask: (B, 1, 1, S). → (B, L, hidden), and `own` with these tokens."""
        query, keys, values = (self._apart(part) for part in self.own(self.before[0](x)).chunk(3, -1))
        if own is not None:
            keys, values = torch.cat([own[0], keys], 2), torch.cat([own[1], values], 2)
        attended = F.scaled_dot_product_attention(query, keys, values, is_causal=own is None)
        x = x + self.drop(self.own_out(_together(attended)))
        attended = F.scaled_dot_product_attention(self._apart(self.query(self.before[1](x))), *cross, attn_mask=mask)
        x = x + self.drop(self.cross_out(_together(attended)))
        return x + self.drop(self.feed(self.before[2](x))), (keys, values)

    def _apart(self, x: Tensor) -> Tensor:
        """(B, L, hidden) → (B, heads, L, hidden / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _together(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


class Decoder(nn.Module):
    """A `Writer`: a transformer decoder over the states of the source's tokens, that also copies from the source.

        p(w) = g · softmax(U h Eᵀ + c)[w] + (1 - g) · Σ_{s: source token s is w} a_s        g = σ(v · [h, Σ a_s z_s])

    h: (hidden,) the decoder's state; z_s: the source's states; a: attention of h over them; c: (V,) at first how frequent words are in
    training texts; E: (V, width) the encoder's word embeddings, also what is read of the tokens written so far. E is not learnt here: that
    gradient has a number for every word of the vocabulary.

    "Attention Is All You Need" (https://arxiv.org/abs/1706.03762); "Get To The Point: Summarization with Pointer-Generator Networks"
    (https://arxiv.org/abs/1704.04368), as brands and sizes are words that no vocabulary knows.
    """

    def __init__(self, hidden: int, words: Vocabulary, layers: int, heads: int, dropout: float, longest: int, spec: Spec):
        """heads: as many of them as divide `hidden`; longest: tokens of a text, without the end; spec: see `log_frequencies`."""
        super().__init__()
        width = words.embeddings.shape[1]
        self._words = (words,)  # not a module of its own: its parameters are the encoder's
        self.enter = nn.Identity() if width == hidden else nn.Linear(width, hidden)
        self.places = nn.Embedding(longest + 1, hidden)
        self.before = nn.Sequential(nn.LayerNorm(hidden), nn.Dropout(dropout))
        self.layers = nn.ModuleList(DecoderLayer(hidden, math.gcd(heads, hidden), dropout) for _ in range(layers))
        self.after = nn.LayerNorm(hidden)
        self.leave = nn.Linear(hidden, width)
        self.bias = nn.Parameter(torch.as_tensor(log_frequencies(spec, words, self.end)))
        self.query, self.key, self.gate = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden), nn.Linear(2 * hidden, 1)

    @property
    def start(self) -> int:
        t = self._words[0].tokenizer
        return next(i for i in (t.bos_token_id, t.cls_token_id, t.pad_token_id, self.end) if i is not None)

    @property
    def end(self) -> int:
        t = self._words[0].tokenizer
        return next(i for i in (t.eos_token_id, t.sep_token_id, t.pad_token_id, 0) if i is not None)

    def teach(self, vectors: Tensor, source: Tokens, target: Tokens, longest: int) -> Taught:
        state, lengths, device = self.begin(vectors, source), target.offsets.diff(), vectors.device
        kept = lengths.clamp(max=longest)
        inputs = torch.full((len(lengths), int(kept.max()) + 1), self.end, device=device)
        wanted = inputs.clone()
        inputs[:, 0] = self.start
        row = target.rows
        place = torch.arange(len(row), device=device) - target.offsets[row]
        here = place < longest
        inputs[row[here], place[here] + 1] = wanted[row[here], place[here]] = target.ids[here]
        there = torch.arange(inputs.shape[1], device=device) < n_taught(lengths, lengths, longest)[:, None]
        return Taught(self._logits(self._states(inputs, state), state.source, there), wanted[there], there.nonzero()[:, 0])

    def begin(self, vectors: Tensor, source: Tokens) -> _State:
        assert source.index is not None
        lengths = source.offsets.diff()
        mask = torch.arange(max(1, int(lengths.max())), device=vectors.device) < lengths[:, None]
        states = vectors.new_zeros((*mask.shape, vectors.shape[1]))
        states[mask] = vectors[source.index]
        ids = source.ids.new_zeros(mask.shape)
        ids[mask] = source.ids
        attended = mask | (lengths == 0)[:, None]  # a text without any token is one of nothing
        read = _Source(attended, ids, states, self.key(states), [cast(DecoderLayer, layer).keys_values(states) for layer in self.layers])
        return _State(read, torch.arange(len(mask), device=mask.device), [None] * len(self.layers))

    def step(self, state: _State, ids: Tensor | None) -> Tensor:
        if ids is None:
            ids = torch.full((len(state.rows),), self.start, device=state.rows.device)
        return self._logits(self._states(ids[:, None], state), state.source, torch.ones_like(ids[:, None], dtype=torch.bool))

    def pick(self, state: _State, rows: Tensor) -> _State:
        own = [None if kv is None else (kv[0][rows], kv[1][rows]) for kv in state.own]
        read = state.rows[rows]
        same = torch.equal(read, state.rows)  # beams change places among those of one text
        return _State(state.source if same else state.source.pick(rows), read, own, state.length)

    def _states(self, ids: Tensor, state: _State) -> Tensor:
        """ids: (B, L) → (B, L, hidden); they are added to the state."""
        places = torch.arange(state.length, state.length + ids.shape[1], device=ids.device)
        x = self.before(self.enter(F.embedding(ids, self._words[0].embeddings.detach())) + self.places(places))
        for i, layer in enumerate(self.layers):
            x, state.own[i] = layer(x, state.own[i], state.source.cross[i], state.source.mask[:, None, None])
        state.length += ids.shape[1]
        return self.after(x)

    def _logits(self, h: Tensor, source: _Source, there: Tensor) -> Tensor:
        """h: (B, L, hidden); there: (B, L) bool, M of them are wanted → (M, V), logarithms of p."""
        weights = self.query(h) @ source.keys.transpose(1, 2) / math.sqrt(h.shape[2])  # (B, L, S)
        weights = weights.masked_fill(~source.mask[:, None], -math.inf).softmax(2)
        gate = torch.sigmoid(self.gate(torch.cat([h, weights @ source.states], 2)))[there]
        written = F.linear(self.leave(h[there]), self._words[0].embeddings.detach(), self.bias).softmax(1)
        copied = source.ids[:, None].expand_as(weights)[there]
        return (written * gate).scatter_add(1, copied, weights[there] * (1 - gate)).add(1e-10).log()


@dataclass
class Decoding:
    """How texts come out of a writer. longest: most tokens of one; banned: ids that are never written.

    width: beams of the search, 1 = greedy. temperature, top_p: of sampling; the most probable tokens that have `top_p` together are drawn
    from: "The Curious Case of Neural Text Degeneration" (https://arxiv.org/abs/1904.09751).
    """

    longest: int
    banned: list[int] = field(default_factory=list)

    def search(self, writer: Writer, state: Any, n: int, width: int = 1) -> Tensor:
        """Beam search over n rows. → (n, ≤ longest) ids, filled up with the end.

        What is written so far stands by its mean log-probability a token, so that short texts have no advantage: length penalty 1 of
        "Google's Neural Machine Translation System" (https://arxiv.org/abs/1609.08144). Ended texts stay in the race.
        """
        logs = self._logits(writer, state, None).log_softmax(1)
        scores, ids = logs.topk(width)  # (n, width)
        left = torch.arange(n, device=ids.device)  # rows that are still written
        if width > 1:
            state = writer.pick(state, left.repeat_interleave(width))
        written, ended, lengths = ids.reshape(-1, 1), ids == writer.end, torch.ones_like(ids)
        texts = torch.full((n, self.longest), writer.end, device=ids.device)
        while True:
            done = ended.all(1) | (written.shape[1] == self.longest)
            if 2 * int(done.sum()) >= len(done):  # it pays to go on without them
                texts[left[done], : written.shape[1]] = written.view(len(left), width, -1)[done, 0]
                if done.all():
                    return texts[:, : written.shape[1]]
                rows = (~done).repeat_interleave(width).nonzero()[:, 0]
                left, scores, ended, lengths, written = left[~done], scores[~done], ended[~done], lengths[~done], written[rows]
                state = writer.pick(state, rows)
            logs = self._logits(writer, state, written[:, -1]).log_softmax(1).view(len(left), width, -1)
            stays = torch.full_like(logs[0, 0], -math.inf).index_fill(0, torch.tensor(writer.end, device=ids.device), 0.0)
            totals = scores[..., None] + torch.where(ended[..., None], stays, logs)
            lengths = lengths + ~ended
            places = (totals / lengths[..., None]).flatten(1).topk(width).indices
            origin, ids = places // logs.shape[2], places % logs.shape[2]
            scores, lengths = totals.flatten(1).gather(1, places), lengths.gather(1, origin)
            ended = ended.gather(1, origin) | (ids == writer.end)
            rows = (torch.arange(len(left), device=ids.device)[:, None] * width + origin).flatten()
            written = torch.cat([written[rows], ids.reshape(-1, 1)], 1)
            if width > 1:
                state = writer.pick(state, rows)

    def sample(self, writer: Writer, state: Any, temperature: float, top_p: float, generator: torch.Generator) -> Tensor:
        """→ (B, ≤ longest) ids, filled up with the end."""
        logits, columns = self._logits(writer, state, None), []
        ended = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
        while True:
            shares, order = (logits / temperature).softmax(1).sort(descending=True)
            shares = shares.masked_fill(shares.cumsum(1) - shares > top_p, 0)
            drawn = order.gather(1, torch.multinomial(shares, 1, generator=generator))[:, 0]
            columns.append(drawn.masked_fill(ended, writer.end))
            ended |= drawn == writer.end
            if len(columns) == self.longest or ended.all():
                return torch.stack(columns, 1)
            logits = self._logits(writer, state, columns[-1])

    def _logits(self, writer: Writer, state: Any, ids: Tensor | None) -> Tensor:
        logits = writer.step(state, ids).float()
        logits[:, self.banned] = -math.inf
        return logits
