"""Texts no editor would write, and archives, programs and models in the clothes of media."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib

from tests.bench.hostile.pictures import Made, png, zeros


def texts() -> Made:
    return {
        "nothing.txt": lambda: b"",
        "one byte.txt": lambda: b"a",
        "nul.txt": lambda: b"a\0b",
        "only nul.txt": lambda: b"\0" * 1_000_000,
        "bom.txt": lambda: b"\xef\xbb\xbfhello",
        "bom.py": lambda: b"\xef\xbb\xbfprint(1)\n",
        "utf-16 le.txt": lambda: "hello".encode("utf-16"),
        "utf-32.txt": lambda: "hello".encode("utf-32"),
        "latin-1.txt": lambda: "grün".encode("latin-1"),
        "lone surrogate.txt": lambda: "a\ud800b".encode("utf-8", "surrogatepass"),
        "overlong.txt": lambda: b"\xc0\xaf\xe0\x80\xaf" * 1000,
        "half a character.txt": lambda: "häß".encode() + b"\xe2\x82",
        "one line of 20 MB.txt": lambda: b"word " * 4_000_000,
        "one word of 5 MB.txt": lambda: b"w" * 5_000_000,
        "four million lines.txt": lambda: b"\n" * 4_000_000,
        "blanks 10 MB.md": lambda: b" " * 10_000_000,
        "carriage returns.txt": lambda: b"\r" * 1_000_000,
        "odd line ends.txt": lambda: "\u2028\u2029\x85\x0b\x0c".encode() * 50_000,
        "combining marks.txt": lambda: ("a" + "\u0301" * 500_000).encode(),
        "right to left.txt": lambda: ("\u202e\u2066txt.exe" * 10_000).encode(),
        "zero width.txt": lambda: "\u200b\u200d\ufeff".encode() * 100_000,
        "private and unassigned.txt": lambda: "\U0010ffff\U000e0001\ufffe".encode() * 10_000,
        "emoji families.txt": lambda: ("👩‍👩‍👧‍👦" * 20_000).encode(),
        "escapes.log": lambda: b"\x1b]0;x\x07\x1b[2J\x1b[31m" * 10_000,
        "page with a script.html": lambda: b"<!doctype html><script>fetch('/api/assets')</script>",
        "page with a base.html": lambda: b"<base href='//evil.example/'><meta http-equiv=refresh content='0;url=//evil.example'>",
        "formula.csv": lambda: b"=cmd|' /C calc'!A0,@SUM(1+1)\n" * 1000,
        "million columns.csv": lambda: b"," * 1_000_000,
        "deep.json": lambda: b"[" * 200_000 + b"]" * 200_000,
        "cut.json": lambda: b'{"prompt": "a',
        "surrogate.json": lambda: b'{"prompt": "\\ud800", "seed": 1}',
        "huge number.json": lambda: b'{"prompt": "a", "seed": ' + b"9" * 100_000 + b"}",
        "bomb.yaml": lambda: b"a: &a [x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 110)),
        "python object.yaml": lambda: b"!!python/object/apply:os.system ['id']\n",
        "bomb.xml": lambda: b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 10_000 + b'">]><a>' + b"&b;" * 10_000 + b"</a>",
        "quotes in quotes.md": lambda: b"> " * 50_000 + b"a",
        "lists in lists.md": lambda: b"".join(b" " * n + b"- a\n" for n in range(2000)),
        "emphasis.md": lambda: b"*a **a " * 50_000,
        "links.md": lambda: b"[a](" * 50_000,
        "fences.md": lambda: b"```" * 100_000,
        "brackets.py": lambda: b"(" * 100_000,
        "nested lists.py": lambda: b"x = " + b"[" * 5000 + b"]" * 5000,
        "long sum.py": lambda: b"x = 1" + b"+1" * 100_000,
        "null in source.py": lambda: b"x = 1\0\n",
        "tabs and blanks.py": lambda: b"if 1:\n\tx\n        y\n" * 1000,
        "f-string.py": lambda: b"f'" + b"{f\"{" * 200 + b"'",
        "srt of 100000 lines.srt": lambda: b"".join(b"%d\n00:00:00,000 --> 99:99:99,999\nx\n\n" % n for n in range(100_000)),
        "vtt of rubbish.vtt": lambda: b"WEBVTT\n\n" + b"00:00 --> " * 10_000,
    }  # fmt: skip


def archives() -> Made:
    return {
        "zip of zeros.zip": lambda: _zip({"a": b"\0" * (64 << 20)}),
        "zip called png.png": lambda: _zip({"a": b"hello"}),
        "zip with a way out.zip": lambda: _zip({"../../../etc/cron.d/x": b"hello"}),
        "zip behind a png.png": lambda: png() + _zip({"a": b"hello"}),
        "zip of 20000 files.zip": lambda: _zip({f"f{n}": b"" for n in range(20_000)}),
        "tar with a link out.tar": lambda: _tar(),
        "gzip of zeros.gz": lambda: gzip.compress(b"\0" * (64 << 20), mtime=0),
        "gzip called mp4.mp4": lambda: gzip.compress(b"hello", mtime=0),
        "7z head.7z": lambda: b"7z\xbc\xaf\x27\x1c" + b"\xff" * 26,
        "rar head.rar": lambda: b"Rar!\x1a\x07\x01\0" + b"\xff" * 32,
        "zstd bomb head.zst": lambda: b"\x28\xb5\x2f\xfd\x84" + b"\xff" * 16,
        "pickle.pkl": lambda: pickle.dumps(("x",) * 9),
        "pickle that runs a program.png": lambda: b"\x80\x04cos\nsystem\n(S'touch /tmp/atelier-was-here'\ntR.",
        "torch file.pt": lambda: _zip({"archive/data.pkl": b"\x80\x04cos\nsystem\n(S'id'\ntR."}),
        "safetensors of a huge head.safetensors": lambda: struct.pack("<Q", 2**62) + b"{}",
        "safetensors deep.safetensors": lambda: struct.pack("<Q", 200_000) + b"[" * 200_000,
        "gguf of 2^60 tensors.gguf": lambda: b"GGUF\x03\0\0\0" + struct.pack("<QQ", 2**60, 2**60),
        "program.exe": lambda: b"MZ" + b"\0" * 58 + b"\x40\0\0\0PE\0\0" + b"\0" * 200,
        "program called jpg.jpg": lambda: b"\x7fELF\x02\x01\x01" + b"\0" * 200,
        "script called png.png": lambda: b"#!/bin/sh\ntouch /tmp/atelier-was-here\n",
        "paper.pdf": lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n",
        "pdf behind a jpeg head.jpg": lambda: b"\xff\xd8\xff\xe0%PDF-1.7\n" + b"x" * 200,
        "letter.docx": lambda: _zip({"[Content_Types].xml": b"<x/>", "word/document.xml": zeros(1 << 20)}),
        "database.db": lambda: b"SQLite format 3\0" + b"\xff" * 84,
        "font.ttf": lambda: b"\0\x01\0\0\xff\xff" + b"\xff" * 60,
        "flash.swf": lambda: b"CWS\x0a\xff\xff\xff\xff" + zlib.compress(b"\0" * (1 << 20)),
        "java.class": lambda: b"\xca\xfe\xba\xbe" + b"\xff" * 60,
        "wasm.wasm": lambda: b"\0asm\x01\0\0\0" + b"\xff" * 60,
        "lnk.lnk": lambda: b"L\0\0\0\x01\x14\x02\0" + b"\xff" * 60,
        "random.bin": lambda: bytes((n * 193 + n // 7) % 256 for n in range(100_000)),
        "high bytes.png": lambda: b"\xff" * 100_000,
    }  # fmt: skip


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        link = tarfile.TarInfo("x")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    return out.getvalue()
