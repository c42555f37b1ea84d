"""Which encoding a text file is in: a byte order mark, UTF-8, else what charset-normalizer finds likeliest, which is said to be a guess.

`scan` finds it by reading all of the file, and what is wrong with its bytes. Nearly all files are UTF-8 with nothing wrong: those are
checked by `PlainText` while they are read for their rows.
"""

import codecs
import io
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from mtl_core.base.messages import message
from mtl_core.data.findings import Limits
from mtl_core.data.problems import Problem, Severity

CHUNK = 1 << 20
HEAD = 1 << 16
BLANK = b"\xef\xbb\xbf\xff\xfe\0\r\n\t "
"""What a file without content may consist of: marks and white space."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MAGIC = (
    b"PAR1",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x89PNG",
    b"%PDF",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x7fELF",
    b"SQLite format 3",
    b"\xd0\xcf\x11\xe0",
    b"BZh",
    b"\xfd7zXZ",
)
_CONTROL = bytes(b for b in range(32) if b not in b"\t\n\v\f\r\x1b\0")


@dataclass
class Scan:
    """What one pass over the bytes found. encoding: None when no encoding fits or the file is not text."""

    encoding: str | None
    problems: list[Problem]
    n_bytes: int
    head: bytes


class LimitError(Exception):
    """The content is larger than allowed. problem: what to tell the person."""

    def __init__(self, problem: Problem):
        self.problem = problem
        super().__init__(str(problem))


def check_ratio(unpacked: int, packed: int, limits: Limits, file: str) -> None:
    """Raises LimitError: so many bytes came out of, or are said to lie in, an archive of `packed` bytes that it is no table's."""
    if unpacked > max(limits.free_bytes, limits.max_ratio * packed):
        why = message("The archive has {packed} and unpacks to {unpacked} MB or more, over {limit} times its size.",
                      packed=f"{packed / 1024:,.0f} KB", unpacked=unpacked >> 20, limit=limits.max_ratio)  # fmt: skip
        raise LimitError(Problem(Severity.ERROR, "archive_bomb", why, message("If it is a table, upload it without packing it."), file))


def known_encoding(name: str) -> bool:
    """Whether a text file may be said to be in this encoding: one that Python has, of texts with line breaks."""
    try:
        return "a,b\n".encode(name).decode(name) == "a,b\n"
    except (LookupError, ValueError):
        return False


def scan(open_stream: Callable[[], BinaryIO], file: str, max_bytes: int, max_line_bytes: int, chosen: str | None = None) -> Scan:
    """Reads the stream to its end, at most `max_bytes`, and finds its encoding and what cannot be in a text file.

    open_stream: gives a fresh stream from the start at each call. chosen: the encoding, as a person says.
    Raises LimitError: more than `max_bytes` bytes, or a line longer than `max_line_bytes` (as soon as it is seen).
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    is_utf8, n_bytes, n_lines, n_nul, first_nul, run = True, 0, 0, 0, 0, 0
    head = b""
    with open_stream() as stream:
        while chunk := stream.read(CHUNK):
            if not head:
                head = chunk[:HEAD]
                while len(head) < HEAD and (more := stream.read(HEAD - len(head))):  # a stream may give less than asked for
                    head, chunk = head + more, chunk + more
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise LimitError(
                    Problem(
                        Severity.ERROR, "too_large", message("The content is larger than {limit} MB.", limit=max_bytes >> 20),
                        message("Split the table into smaller files, or raise the limit."), file,
                    )
                )  # fmt: skip
            if nul := chunk.count(0):
                first_nul = first_nul or n_lines + chunk.count(b"\n", 0, chunk.find(0)) + 1
                n_nul += nul
            last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
            run = len(chunk) - last - 1 if last >= 0 else run + len(chunk)
            if run > max_line_bytes:
                raise LimitError(
                    Problem(
                        Severity.ERROR, "line_too_long", message("A line is longer than {limit} MB.", limit=max_line_bytes >> 20),
                        message("Check that rows end with a line break and that quotes are closed."), file,
                        n_lines + chunk.count(b"\n") + 1,
                    )
                )  # fmt: skip
            n_lines += chunk.count(b"\n")
            if is_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    bom = next((name for mark, name in _BOMS if head.startswith(mark)), None) or _utf16_without_mark(head)
    if chosen is not None:
        if bom == "utf-8-sig" and codecs.lookup(chosen).name == "utf-8":
            chosen = bom
        return _decoded(open_stream, chosen, file, n_bytes, head)
    if bom and bom.startswith("utf-16"):
        return _decoded(open_stream, bom, file, n_bytes, head)
    if _is_binary(head):
        why = message("The file is not text: it holds binary data.")
        remedy = message("Export the table as CSV, TSV, JSON Lines or Parquet, and name the file accordingly.")
        return Scan(None, [Problem(Severity.ERROR, "binary_file", why, remedy, file, 1)], n_bytes, head)
    problems = []
    if n_nul:
        why = message("The file holds {count} NUL bytes, which no text has.", count=n_nul)
        remedy = message("Export the table again, or remove the NUL bytes in an editor.")
        problems.append(Problem(Severity.ERROR, "nul_bytes", why, remedy, file, first_nul, count=n_nul))
    if is_utf8:
        return Scan(bom or "utf-8", problems, n_bytes, head)
    encoding, mixed = _legacy(open_stream, file)
    return Scan(encoding, problems + mixed, n_bytes, head)


class NotPlainError(Exception):
    """The bytes are not UTF-8 without a fault: `scan` says what they are."""


class PlainText:
    """A stream that turns out to be what `scan` finds nothing wrong with, in UTF-8, or raises NotPlainError where it is read.

    found: as of `scan`, n_bytes so far. Reading goes through `open`, then `finish` reads what was left.
    """

    def __init__(self, stream: BinaryIO, max_bytes: int, max_line_bytes: int):
        self._stream = stream
        self._most, self._longest, self._run = max_bytes, max_line_bytes, 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        head = b""
        while len(head) < HEAD and (more := stream.read(HEAD - len(head))):
            head += more
        bom = next((name for mark, name in _BOMS if head.startswith(mark)), "utf-8")
        if bom == "utf-16" or not head.strip(BLANK) or _utf16_without_mark(head) or _is_binary(head):
            raise NotPlainError
        self.found = Scan(bom, [], 0, head)
        self._waiting = head

    def open(self) -> BinaryIO:
        """The stream from its start, once. To close it leaves what is below open."""
        return cast(BinaryIO, io.BufferedReader(_Checked(self), CHUNK))

    def finish(self) -> None:
        while self.take(CHUNK):
            pass

    def take(self, size: int) -> bytes:
        """At most `size` more bytes, none at the end."""
        chunk, self._waiting = (self._waiting[:size], self._waiting[size:]) if self._waiting else (self._stream.read(size), b"")
        self.found.n_bytes += len(chunk)
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._run = len(chunk) - last - 1 if last >= 0 else self._run + len(chunk)
        if self.found.n_bytes > self._most or self._run > self._longest or 0 in chunk:
            raise NotPlainError
        try:
            self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise NotPlainError from error
        return chunk


class _Checked(io.RawIOBase):
    def __init__(self, text: PlainText):
        self._text = text

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._text.take(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _is_binary(head: bytes) -> bool:
    if head.startswith(_MAGIC):
        return True
    n_control = len(head) - len(head.translate(None, _CONTROL))
    return n_control > 8 and n_control > 0.02 * len(head)


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 as Windows programs write it without a mark: every second byte of Western text is 0."""
    even, odd = head[::2], head[1::2]
    if len(head) < 8 or head.startswith(_MAGIC):
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None


def _decoded(open_stream: Callable[[], BinaryIO], encoding: str, file: str, n_bytes: int, head: bytes) -> Scan:
    problems = _undecodable(open_stream, encoding, file)
    return Scan(None if problems else encoding, problems, n_bytes, head)


def _undecodable(open_stream: Callable[[], BinaryIO], encoding: str, file: str) -> list[Problem]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    with open_stream() as stream:
        while True:
            chunk = stream.read(CHUNK)
            try:
                line += decoder.decode(chunk, final=not chunk).count("\n")
            except UnicodeDecodeError as e:
                line += e.object[: e.start].decode(encoding, "replace").count("\n")
                why = message("This line has bytes that are not {encoding}.", encoding=encoding)
                return [
                    Problem(
                        Severity.ERROR,
                        "bad_encoding",
                        why,
                        message("Choose the encoding that the file is in, or save it again as UTF-8."),
                        file,
                        line,
                    )
                ]
            if not chunk:
                return []


def _legacy(open_stream: Callable[[], BinaryIO], file: str) -> tuple[str | None, list[Problem]]:
    """The encoding of a file that is not UTF-8 as a whole, and the word on how sure that is; a mixture is an error with its first odd line.

    Chinese text in GB18030 is pairs of high bytes, nearly all in the common GB 2312 set; other text read so gives rare characters.
    A short Chinese word in GB18030 can happen to be valid two-byte UTF-8; three-byte UTF-8 hardly happens by chance.
    """
    n_other = n_utf8 = 0
    first = {"utf-8": 0, "utf-8 surely": 0, "other": 0}
    sample: list[tuple[int, bytes]] = []  # (number, line)
    room = _SAMPLE
    with open_stream() as stream:
        for number, line in enumerate(stream, start=1):
            if line.isascii():
                continue
            try:
                wide = any(ord(c) > 0x7FF for c in line.decode("utf-8"))
                n_utf8 += 1
                first["utf-8"] = first["utf-8"] or number
                if wide:
                    first["utf-8 surely"] = first["utf-8 surely"] or number
            except UnicodeDecodeError:
                n_other += 1
                first["other"] = first["other"] or number
                if room > 0:
                    sample.append((number, line.rstrip(b"\r\n")[:_SAMPLE]))
                    room -= len(sample[-1][1]) + 1
    likely = fitting_encodings(b"".join(line + b"\n" for _, line in sample))
    several_bytes = bool(likely) and likely[0] in _SEVERAL_BYTES
    odd = None
    if first["utf-8 surely"] or (n_utf8 and not (several_bytes and n_utf8 <= n_other)):
        odd = first["other"] if n_utf8 >= n_other else first["utf-8 surely"] or first["utf-8"]
    else:
        for encoding in likely:
            for name in _WIDER.get(encoding, (encoding,)):
                wrong = _undecodable(open_stream, name, file)
                if not wrong:
                    return name, [_guessed(sample, name, [e for e in likely if e != encoding], file)]
                odd = odd or wrong[0].line
    why = message("The file mixes encodings: this line has another encoding than most.")
    remedy = message("Save the whole file as UTF-8, then fix this line.")
    return None, [Problem(Severity.ERROR, "mixed_encodings", why, remedy, file, odd or first["other"])]


def _guessed(sample: list[tuple[int, bytes]], encoding: str, others: list[str], file: str) -> Problem:
    """Shows the first line that the likeliest other encoding would read otherwise."""
    number, line = next(
        ((n, one) for other in others for n, one in sample if one.decode(other, "replace") != one.decode(encoding, "replace")), sample[0]
    )
    text = line.decode(encoding, "replace")
    shown = text if len(text) <= 80 else text[:79] + "…"
    letters = [c for _, one in sample for c in one.decode(encoding, "ignore") if ord(c) > 127]
    sure = encoding == "gb18030" and len(letters) >= _MANY and _share_of_gb2312(letters) > 0.95
    why = message("The file is not UTF-8; it is read as {encoding}. This line then reads “{text}”.", encoding=encoding, text=shown)
    names = [name for name in dict.fromkeys((*others, *_USUAL)) if name != encoding]
    remedy = message("If that is wrong, choose the encoding, such as {others}.", others=", ".join(names[:5]))
    return Problem(Severity.INFO if sure else Severity.WARNING, "guessed_encoding", why, remedy, file, number)


_SAMPLE = 1 << 15
_MANY = 100
OFFERED = (
    "utf-8", "utf-16", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255",
    "cp1256", "cp1257", "cp874", "iso8859_2", "koi8_r", "cp866", "cp850", "mac_roman",
)  # fmt: skip
"""What people are offered and a file that is not UTF-8 is tried in: Windows first, of each script."""
_WIDER = {"big5": ("big5", "cp950", "big5hkscs"), "shift_jis": ("shift_jis", "cp932"), "euc_kr": ("euc_kr", "cp949")}
_SEVERAL_BYTES = ("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr")
_USUAL = ("gb18030", "cp1252", "cp1251", "big5", "cp1250")
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž")  # pl, cs, sk, hu, ro, hr
_ALPHABETS = {
    "cp1252": ("éèêëàâçîïôûùüÿœæ", "äöüßé", "áéíóúüñ", "áàâãçéêíóôõúü", "àèéìíòóù", "ëïéèöüá", "åäöé", "æøåéö", "áéíóúýæöþð"),
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "cp1254": ("çğıöşüâîû",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
}
"""Letters beyond ASCII of languages; of cp1252 French, German, Spanish, Portuguese, Italian, Dutch, Swedish, Danish, Icelandic."""
_MIXED = _ALPHABETS["cp1252"][:-1]
"""Of words in several languages; the letters of Icelandic are those of Turkish in another encoding."""
_MARKS = set("’‘“”„–—…€£¥§©®™°·•«»¡¿´¨º\xa0")


def fitting_encodings(sample: bytes) -> list[str]:
    """Encodings in which `sample` (lines that are not UTF-8) can be a text, the likeliest first.

    charset-normalizer ranks them by how much like a language each reads. Stronger than its word: Chinese of the common GB 2312 set, letters
    that are all of one Western alphabet, and signs inside words, which no language has.
    """
    import charset_normalizer

    ranked = [m.encoding for m in charset_normalizer.from_bytes(sample, cp_isolation=list(OFFERED[2:]), threshold=0.5)]
    texts = {}
    for encoding in dict.fromkeys((*ranked, "gb18030", *_ALPHABETS)):
        with suppress(UnicodeDecodeError):
            texts[encoding] = sample.decode(encoding)
    ranked = [e for e in ranked if e in texts and (e != "shift_jis" or _has_kana(texts[e]))]
    ranked.sort(key=lambda e: e not in _SEVERAL_BYTES and _signs_in_words(texts[e]) > 0.02)
    letters = [c for c in texts.get("gb18030", "") if ord(c) > 127]
    short = len(letters) < 8
    if letters and (short or not (ranked and ranked[0] in _SEVERAL_BYTES)) and _share_of_gb2312(letters) > (0.99 if short else 0.5):
        ranked.insert(0, "gb18030")
    elif not (ranked and ranked[0] in _SEVERAL_BYTES):
        spelled = [e for e, alphabets in _ALPHABETS.items() if e in texts and _is_spelled([texts[e]], alphabets)]
        if "cp1252" in texts and _is_spelled(re.split(r"[\x00-@\[-`{-\x7f]+", texts["cp1252"]), _MIXED):
            spelled.append("cp1252")
        ranked = spelled + ranked
    return list(dict.fromkeys(ranked)) or [e for e in ("cp1252",) if e in texts]


def _share_of_gb2312(letters: list[str]) -> float:
    return len("".join(letters).encode("gb2312", "ignore")) / 2 / len(letters)


def _has_kana(text: str) -> bool:
    """Japanese has; other text read as Shift JIS has rare characters, or kana of half width."""
    return sum("ぁ" <= c <= "ヿ" for c in text) > 0.1 * sum(ord(c) > 127 for c in text)


def _signs_in_words(text: str) -> float:
    """Share of the characters beyond ASCII that are no letters and stand between two."""
    beyond = [i for i, c in enumerate(text) if ord(c) > 127]
    inside = sum(
        0 < i < len(text) - 1 and text[i - 1].isalpha() and text[i + 1].isalpha()
        for i in beyond
        if not text[i].isalpha() and text[i] != "’"
    )
    return inside / max(len(beyond), 1)


def _is_spelled(texts: list[str], alphabets: tuple[str, ...]) -> bool:
    """Whether each of the texts has the letters of one of the alphabets."""
    for text in texts:
        beyond = {c for c in text if ord(c) > 127} - _MARKS
        if not any(beyond <= {*letters, *letters.upper()} for letters in alphabets) or _signs_in_words(text):
            return False
    return True
