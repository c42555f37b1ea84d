import codecs
from pathlib import Path

import pytest

from mtl_core.data.encodings import OFFERED, fitting_encodings, known_encoding
from mtl_core.data.problems import DataError
from mtl_core.data.read import read_table

TEXTS = {
    "gb18030": "这件衣服质量很好，颜色也漂亮\n物流很快，客服态度不错\n尺码偏小，退货了\n鞋子穿着舒服，下次还来买",
    "big5": "這件衣服品質很好，顏色也漂亮\n物流很快，客服態度不錯\n尺碼偏小，退貨了\n鞋子穿著舒服，下次還來買",
    "shift_jis": "この商品はとても良いです\n配送が遅かった\nサイズが小さいので返品しました\n色がきれいで気に入っています",
    "euc_jp": "この商品はとても良いです\n配送が遅かった\nサイズが小さいので返品しました\n色がきれいで気に入っています",
    "euc_kr": "배송이 빠르고 품질이 좋아요\n사이즈가 작아서 환불했습니다\n색상이 예뻐요 추천합니다",
    "cp1250": "płaszcz był zły, proszę o zwrot pieniędzy\nłóżko za małe, ale dostawa szybka\nźle zapakowane",
    "iso8859_2": "płaszcz był zły, proszę o zwrot pieniędzy\nłóżko za małe, ale dostawa szybka\nźle zapakowane",
    "cp1251": "товар пришёл быстро, спасибо\nразмер маленький, сделал возврат\nплатье красное, очень красиво",
    "koi8_r": "товар пришёл быстро, спасибо\nразмер маленький, сделал возврат\nплатье красное, очень красиво",
    "cp866": "товар пришёл быстро, спасибо\nразмер маленький, сделал возврат\nплатье красное, очень красиво",
    "cp1252": "écharpe d'été très jolie\nla qualité est décevante, j'ai renvoyé le colis\nça va, 30 €",
    "mac_roman": "schöne Schuhe, aber zu groß\nLieferung war pünktlich, Qualität ok\nwürde ich wieder kaufen",
    "cp850": "schöne Schuhe, aber zu groß\nLieferung war pünktlich, Qualität ok\nwürde ich wieder kaufen",
    "cp1253": "Πολύ καλή ποιότητα, ευχαριστώ\nμικρό μέγεθος, το επέστρεψα\nγρήγορη αποστολή",
    "cp1254": "ürün çok güzel, teşekkürler\nbeden küçük geldi, iade ettim\nhızlı kargo, kaliteli kumaş",
    "cp1255": "המוצר הגיע מהר, תודה\nהמידה קטנה מדי, החזרתי\nאיכות טובה מאוד",
    "cp1256": "المنتج وصل بسرعة، شكرا\nالمقاس صغير جدا، أعدته\nجودة ممتازة",
    "cp874": "สินค้าดีมาก ส่งเร็ว\nขนาดเล็กเกินไป ขอคืนเงิน\nสีสวย คุณภาพดี",
}
WESTERN = {
    "German": "Größe passt\nschöne Schuhe",
    "Spanish": "el tamaño no es bueno\nllegó rápido, señora muy contenta",
    "Portuguese": "não gostei, devolução\nótima qualidade",
    "Italian": "qualità pessima, perché è rotto",
    "Swedish": "för små skor, på väg tillbaka",
    "several": "größe,naïve;3 €\nsmörgåsbord,señor,déjà vu",
    "signs": "price 30 € fine\nit’s good – really\n“great” shoes",
}


def table_of(texts: str, repeat: int = 1) -> str:
    return "id\ttext\n" + "".join(f"{i}\t{line}\n" for i, line in enumerate(texts.split("\n") * repeat))


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("repeat", [1, 100])
def test_texts_of_many_languages(tmp_path: Path, encoding: str, repeat: int) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(table_of(TEXTS[encoding], repeat).encode(encoding))
    read = read_table(path)
    assert read.table.column("text").to_pylist() == TEXTS[encoding].split("\n") * repeat
    (problem,) = read.problems
    assert problem.code == "guessed_encoding" and problem.line is not None
    assert TEXTS[encoding].split("\n")[problem.line - 2] in str(problem.why)
    assert str(read.encoding) in str(problem.why) and str(read.encoding) not in str(problem.remedy).split()
    assert problem.severity == ("info" if encoding == "gb18030" and repeat > 1 else "warning")


@pytest.mark.parametrize("language", WESTERN)
def test_western_languages(language: str) -> None:
    assert fitting_encodings(WESTERN[language].encode("cp1252"))[0] == "cp1252"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_nothing_is_said_where_nothing_is_guessed(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(table_of(TEXTS["cp1252"]).encode(encoding))
    read = read_table(path)
    assert read.table.column("text").to_pylist() == TEXTS["cp1252"].split("\n")
    assert read.problems == []


@pytest.mark.parametrize(("most", "other"), [("utf-8", "cp1251"), ("cp1251", "utf-8"), ("utf-8", "cp1252"), ("big5", "utf-8")])
def test_a_mixture_is_refused_with_its_line(tmp_path: Path, most: str, other: str) -> None:
    language = most if most in TEXTS else other
    path = tmp_path / "a.tsv"
    path.write_bytes(table_of(TEXTS[language], 3).encode(most) + f"9\t{TEXTS[language].split()[0]}這\n".encode(other, "ignore"))
    with pytest.raises(DataError) as caught:
        read_table(path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("mixed_encodings", table_of(TEXTS[language], 3).count("\n") + 1)


def test_a_choice_is_followed_or_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(table_of(TEXTS["iso8859_2"]).encode("iso8859_2"))
    read = read_table(path, encoding="iso-8859-2")
    assert (read.table.column("text")[0].as_py(), read.problems) == (TEXTS["iso8859_2"].split("\n")[0], [])
    for encoding, line in (("utf-8", 2), ("ascii", 2), ("euc_kr", 2)):
        with pytest.raises(DataError) as caught:
            read_table(path, encoding=encoding)
        (problem,) = caught.value.problems
        assert (problem.code, problem.line) == ("bad_encoding", line)


def test_what_may_be_chosen() -> None:
    assert all(map(known_encoding, OFFERED))
    assert all(map(known_encoding, ("latin1", "windows-1251", "GBK")))
    assert not any(map(known_encoding, ("klingon", "hex", "zlib", "", "\0", "../x")))
    assert len({codecs.lookup(name).name for name in OFFERED}) == len(OFFERED)


def test_the_line_shown_is_one_that_another_encoding_reads_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,größe\nschön,1\ncafé,2\nvoilà,3\n".encode("cp1252"))
    (problem,) = read_table(path).problems
    others = fitting_encodings("größe schön café voilà".encode("cp1252"))[:2]
    assert others == ["cp1252", "cp1250"] and problem.line == 4 and "“voilà,3”" in str(problem.why)
