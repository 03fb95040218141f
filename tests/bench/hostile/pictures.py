"""Pictures that are broken, far too large, or not what they say; and texts inside pictures that are traps for their readers.

Every function returns {name: how to make it}; nothing large is made before it is wanted.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from PIL import Image

Made = dict[str, Callable[[], bytes]]
PNG = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
USER_COMMENT, DESCRIPTION, EXIF_IFD = 0x9286, 0x010E, 0x8769


def chunk(name: bytes, body: bytes, crc: int | None = None) -> bytes:
    check = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def header(width: int, height: int, depth: int = 8, kind: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))


def png(*chunks: bytes, width: int = 32, height: int = 32) -> bytes:
    """A whole small picture with these chunks before its pixels."""
    rows = zlib.compress(b"".join(b"\0" + bytes([200, 40, 40]) * width for _ in range(height)))
    return PNG + header(width, height) + b"".join(chunks) + chunk(b"IDAT", rows) + END


@cache
def bomb(width: int, height: int, kind: int = 2) -> bytes:
    """Pixels of nothing that pack a thousand to one."""
    samples = {0: 1, 2: 3, 6: 4}[kind]
    packer, parts = zlib.compressobj(9), []
    row = b"\0" * (1 + width * samples)
    for _ in range(height):
        parts.append(packer.compress(row))
    return PNG + header(width, height, kind=kind) + chunk(b"IDAT", b"".join(parts) + packer.flush()) + END


@cache
def zeros(nbytes: int) -> bytes:
    packer = zlib.compressobj(9)
    block = b"\0" * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(nbytes >> 20)) + packer.flush()


def saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (32, 32), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind, **options)
    return out.getvalue()


# ---- broken or too large ----------------------------------------------------------------------------------------------


def shapes() -> Made:
    """Claims of size that the rest of the file does not keep, and bombs that do."""

    def claims(width: int, height: int, depth: int = 8, kind: int = 2) -> Callable[[], bytes]:
        return lambda: PNG + header(width, height, depth, kind) + chunk(b"IDAT", zlib.compress(b"\0")) + END

    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 4)
    tiff += b"".join(
        struct.pack("<HHII", *e)
        for e in ((256, 4, 1, 60000), (257, 4, 1, 60000), (258, 3, 1, 8), (273, 4, 1, 8))
    )
    return {
        "png bomb 12000x12000": lambda: bomb(12_000, 12_000),
        "png bomb 12000x12000 with alpha": lambda: bomb(12_000, 12_000, kind=6),
        "png bomb one row of 140 million": lambda: bomb(140_000_000, 1, kind=0),
        "png bomb one column of 1 million": lambda: bomb(1, 1_000_000, kind=0),
        "png claims 2^31 by 2^31": claims(2**31 - 1, 2**31 - 1),
        "png claims 0 by 0": claims(0, 0),
        "png claims 12000x12000, empty": claims(12_000, 12_000),
        "png with a depth of 3": claims(8, 8, depth=3),
        "png of colour type 9": claims(8, 8, kind=9),
        "png palette without PLTE": claims(8, 8, kind=3),
        "gif claims 65535x65535": lambda: b"GIF89a\xff\xff\xff\xff\x80\0\0" + b"\0" * 6 + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
        "bmp claims 100000x100000": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1 << 20, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "bmp of negative size": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -5, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
        "bmp run length bomb": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1 << 20, 0, 0, 54, 40, 9000, 9000, 1, 8, 1, 0, 0, 0, 0, 0) + b"\xff\x01" * 400_000,
        "tiff claims 60000x60000": lambda: tiff + b"\0\0\0\0",
        "tiff whose directory is its own next": lambda: b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8),
        "tiff with 65535 entries": lambda: b"II*\0\x08\0\0\0" + b"\xff\xff" + b"\0\x01\x04\0\xff\xff\xff\xff\0\0\0\0" * 65535,
        "tiff of 300 pages": lambda: saved("TIFF", save_all=True, append_images=[Image.new("RGB", (8, 8))] * 300),
        "webp claims 16383x16383": lambda: b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xfe\x3f\0\xfe\x3f\0ALPH\0\0\0\0",
        "webp lossless 16383x9000": lambda: b"RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0/" + struct.pack("<I", 16382 | (8999 << 14)) + b"\0" * 15,
        "jpeg claims 65500x65500": lambda: saved("JPEG").replace(b"\0\x20\0\x20", b"\xff\xdc\xff\xdc"),
        "jpeg progressive 10000x10000": lambda: saved("JPEG", size=(10_000, 10_000), progressive=True),
        "jpeg with a thousand scans": lambda: saved("JPEG", size=(64, 64), progressive=True)[:-2] + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x7f" * 1000 + b"\xff\xd9",
        "avif claims much": lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\xff\xff\xff\xffmeta" + b"\0" * 200,
        "heic head alone": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64,
        "ico of 200 pictures": lambda: b"\0\0\x01\0\xc8\0" + b"\xff\xff\0\0\x01\0 \0\xff\xff\xff\x7f\x16\0\0\0" * 200,
        "apng of 2000 frames 2000x2000": lambda: _apng(2000, 2000),
        "apng of 4 billion frames": lambda: png(chunk(b"acTL", struct.pack(">II", 2**32 - 1, 0))),
        "gif of 4000 frames 2000x2000": lambda: _gif(4000, 2000),
        "gif whose frame lies outside": lambda: b"GIF89a\x08\0\x08\0\x80\0\0" + b"\0" * 6 + b",\xf0\xff\xf0\xff\x08\0\x08\0\0\x02\x02D\x01\0;",
    }  # fmt: skip


def kinds() -> Made:
    """Honest pictures of rare kinds: each must be shown, or be refused in words."""
    rotated = Image.Exif()
    rotated[0x0112] = 6
    odd = Image.Exif()
    odd[0x0112] = 4711
    return {
        "16-bit grey png": lambda: saved("PNG", "I;16"),
        "32-bit integer tiff": lambda: saved("TIFF", "I"),
        "float tiff": lambda: saved("TIFF", "F"),
        "float tiff of nan": lambda: saved("TIFF", "F").replace(b"\0\0\0\0" * 16, b"\xff\xff\xff\x7f" * 16),
        "cmyk jpeg": lambda: saved("JPEG", "CMYK"),
        "cmyk tiff": lambda: saved("TIFF", "CMYK"),
        "lab tiff": lambda: saved("TIFF", "LAB"),
        "palette png with alpha": lambda: saved("PNG", "P", transparency=0),
        "one bit png": lambda: saved("PNG", "1"),
        "grey and alpha png": lambda: saved("PNG", "LA"),
        "rotated jpeg": lambda: saved("JPEG", exif=rotated),
        "jpeg of orientation 4711": lambda: saved("JPEG", exif=odd),
        "one by one": lambda: saved("PNG", size=(1, 1)),
        "one by 60000": lambda: saved("PNG", size=(1, 60_000)),
        "animated webp": lambda: saved("WEBP", save_all=True, append_images=[Image.new("RGB", (32, 32), "red")]),
        "animated gif": lambda: saved("GIF", save_all=True, append_images=[Image.new("RGB", (32, 32), "red")]),
        "avif": lambda: saved("AVIF"),
        "tga without a head": lambda: saved("TGA"),
        "pcx": lambda: saved("PCX"),
        "ppm": lambda: saved("PPM"),
        "eps that runs a program": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n",
        "psd": lambda: b"8BPS\0\x01" + b"\0" * 6 + b"\0\x03\0\0\x75\x30\0\0\x75\x30\0\x08\0\x03" + b"\0" * 12,
        "icns": lambda: b"icns\xff\xff\xff\xff" + b"\0" * 64,
        "fits": lambda: b"SIMPLE  =                    T" + b" " * 2850,
        "svg with a script": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "svg of a billion laughs": lambda: _laughs(),
        "svg that fetches a file": lambda: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    }  # fmt: skip


def chunks() -> Made:
    """PNG chunks, profiles and EXIF that lie about themselves."""
    return {
        "png wrong crc": lambda: PNG + header(8, 8) + chunk(b"IDAT", b"x", 1) + END,
        "png length beyond the end": lambda: PNG + header(8, 8) + b"\x7f\xff\xff\xffIDAT" + b"x" * 50,
        "png chunk of length 2^32-1": lambda: PNG + header(8, 8) + b"\xff\xff\xff\xfftEXt" + b"x" * 50,
        "png without IHDR": lambda: PNG + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + END,
        "png two IHDR": lambda: PNG + header(8, 8) + header(30_000, 30_000) + chunk(b"IDAT", b"") + END,
        "png 100000 empty chunks": lambda: png(chunk(b"abCd", b"") * 100_000),
        "png 5000 texts": lambda: png(*(chunk(b"tEXt", b"k%d\0v" % n) for n in range(5000))),
        "png text of 20 MB": lambda: png(chunk(b"tEXt", b"parameters\0" + b"a, " * 7_000_000)),
        "png zTXt bomb": lambda: png(chunk(b"zTXt", b"parameters\0\0" + zeros(400 << 20))),
        "png iTXt bomb": lambda: png(chunk(b"iTXt", b"prompt\0\1\0\0\0" + zeros(400 << 20))),
        "png fifty zTXt of 4 MB": lambda: png(*(chunk(b"zTXt", b"k%d\0\0" % n + zeros(4 << 20)) for n in range(50))),
        "png zTXt cut": lambda: png(chunk(b"zTXt", b"parameters\0\0" + zeros(1 << 20)[:-9])),
        "png text without a key": lambda: png(chunk(b"tEXt", b"\0")),
        "png text of nothing": lambda: png(chunk(b"tEXt", b"")),
        "png icc bomb": lambda: png(chunk(b"iCCP", b"a\0\0" + zeros(400 << 20))),
        "png icc of rubbish": lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(b"rubbish" * 99))),
        "png exif whose ifd is itself": lambda: png(chunk(b"eXIf", _looped_exif())),
        "jpeg exif whose ifd is itself": lambda: saved("JPEG", exif=b"Exif\0\0" + _looped_exif()),
        "jpeg exif of 60000 entries": lambda: saved("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + b"\x10\x0e" + b"\x86\x92\x07\0\xff\xff\xff\x7f\x08\0\0\0" * 3600),
        "jpeg exif cut": lambda: saved("JPEG", exif=b"Exif\0\0II*\0\x08\0"),
        "jpeg xmp of rubbish": lambda: _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<" * 60_000),
        "jpeg xmp with entities": lambda: _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _laughs()),
        "jpeg 60 kB comment": lambda: _segment(0xFE, b"parameters " * 5900),
        "jpeg of 3000 segments": lambda: saved("JPEG")[:2] + b"\xff\xe5\0\x04ab" * 3000 + saved("JPEG")[2:],
        "webp exif cut": lambda: saved("WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01"),
        "user comment not in its charset": lambda: commented(b"UNICODE\0" + b"\xff\xd8\0" * 333),
        "user comment of lone surrogates": lambda: commented(b"UNICODE\0" + "\ud800 prompt".encode("utf-16-be", "surrogatepass")),
        "user comment in no charset": lambda: commented(b"JIS\0\0\0\0\0" + bytes(range(256))),
        "png xmp nested 50000 deep": lambda: png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<a>" * 50_000)),
    }  # fmt: skip


def commented(raw: bytes) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = raw
    return saved("JPEG", exif=exif)


def _segment(mark: int, body: bytes) -> bytes:
    plain = saved("JPEG")
    return plain[:2] + bytes([0xFF, mark]) + struct.pack(">H", len(body) + 2) + body + plain[2:]


def _looped_exif() -> bytes:
    """The Exif directory's place is the first directory itself."""
    entry = struct.pack("<HHII", EXIF_IFD, 4, 1, 8)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + struct.pack("<I", 8)


def _laughs() -> bytes:
    steps = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY l0 "ha">{steps}]><svg>&l9;</svg>'.encode()


def _apng(frames: int, side: int) -> bytes:
    rows = zlib.compress(b"\0" * (side * 3 + 1) * side)
    parts = [chunk(b"acTL", struct.pack(">II", frames, 0))]
    for number in range(frames):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number * 2, side, side, 0, 0, 1, 30, 0, 0)))
        parts.append(chunk(b"fdAT", struct.pack(">I", number * 2 + 1) + rows[:200]))
    return PNG + header(side, side) + b"".join(parts) + chunk(b"IDAT", rows) + END


def _gif(frames: int, side: int) -> bytes:
    size = struct.pack("<HH", side, side)
    frame = b"!\xf9\x04\0\x01\0\0\0," + b"\0\0\0\0" + size + b"\0\x02\x02D\x01\0"
    return b"GIF89a" + size + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + frame * frames + b";"


# ---- settings inside that are traps for who reads them -----------------------------------------------------------------


def recipes() -> Made:
    return {f"recipe: {name}": (lambda make=make: png(make())) for name, make in _recipes().items()}  # type: ignore[misc]


def text(key: str, words: str | bytes) -> bytes:
    raw = words if isinstance(words, bytes) else words.encode("utf-8", "surrogatepass")
    return chunk(b"iTXt", key.encode() + b"\0\0\0\0\0" + raw)


def graph(nodes: dict[str, Any]) -> bytes:
    return text("prompt", json.dumps(nodes))


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def _recipes() -> dict[str, Callable[[], bytes]]:
    sampler = node("KSampler", seed=1, steps=4, cfg=7, sampler_name="euler", scheduler="normal", denoise=1)
    sampler["inputs"] |= {
        "positive": ["2", 0],
        "negative": ["2", 0],
        "latent_image": ["2", 0],
        "model": ["2", 0],
    }
    selves = {f"in{n}": ["2", 0] for n in range(6)}
    ladder = {
        str(n): node("ConditioningCombine", conditioning_1=[str(n + 1), 0], conditioning_2=[str(n + 1), 0])
        for n in range(2, 60)
    }
    chain = {str(n): node("Reroute", conditioning=[str(n + 1), 0]) for n in range(2, 30_000)}
    words = node("CLIPTextEncode", text="a cat", clip=["4", 1])
    deep = "[" * 100_000 + "]" * 100_000
    return {
        "comfy node wired to itself six times": lambda: graph({"1": sampler, "2": node("Mix", **selves)}),
        "comfy node wired to itself, known kind": lambda: graph({"1": sampler, "2": node("ConditioningCombine", conditioning_1=["2", 0], conditioning_2=["2", 0])}),
        "comfy ring of two": lambda: graph({"1": sampler, "2": node("Reroute", a=["3", 0]), "3": node("Reroute", a=["2", 0])}),
        "comfy ladder of 2^58 ways": lambda: graph({"1": sampler, **ladder}),
        "comfy chain 30000 long": lambda: graph({"1": sampler, **chain}),
        "comfy 5000 samplers": lambda: graph({str(n): sampler for n in range(5000)} | {"2": words}),
        "comfy wire to nowhere": lambda: graph({"1": sampler}),
        "comfy wires of wrong types": lambda: graph({"1": node("KSampler", positive=[None, {}], negative=[["2"], -1], model=7, seed=[1, 2, 3])}),
        "comfy nodes that are no objects": lambda: text("prompt", json.dumps({"1": [], "2": None, "3": 7, "4": "x"})),
        "comfy graph is a list": lambda: text("prompt", "[1,2,3]"),
        "comfy seed of 400 digits": lambda: graph({"1": {**sampler, "inputs": {**sampler["inputs"], "seed": int("9" * 400)}}, "2": words}),
        "comfy numbers nan and infinity": lambda: text("prompt", '{"1":{"class_type":"KSampler","inputs":{"seed":NaN,"steps":Infinity,"cfg":-Infinity}}}'),
        "comfy surrogates in the prompt": lambda: text("prompt", json.dumps({"1": sampler, "2": node("CLIPTextEncode", text="\ud800 cat \udfff")})),
        "comfy text of 3 MB": lambda: graph({"1": sampler, "2": node("CLIPTextEncode", text="cat " * 800_000)}),
        "json 100000 deep": lambda: text("prompt", deep),
        "json 100000 deep in workflow": lambda: text("workflow", deep),
        "json with a number of 100000 digits": lambda: text("prompt", '{"1":' + "9" * 100_000 + "}"),
        "json cut": lambda: text("prompt", '{"1": {"class_type": "KSamp'),
        "json of invokeai with wrong types": lambda: text("invokeai_metadata", json.dumps({"positive_prompt": 7, "seed": "x", "width": [], "loras": {}, "steps": None})),
        "our own recipe of another shape": lambda: text("atelier", json.dumps({"modality": "image", "prompt": ["a"], "seed": {}})),
        "our own recipe names a stranger's asset": lambda: text("atelier", json.dumps({"modality": "image", "prompt": "a", "init_image": "../../etc/passwd"})),
        "our own recipe with surrogates": lambda: text("atelier", '{"modality":"image","prompt":"\\ud800"}'),
        "a1111 ten thousand settings": lambda: text("parameters", "a cat\nSteps: 4, " + ", ".join(f"K{n}: {n}" for n in range(10_000))),
        "a1111 commas and blanks": lambda: text("parameters", "a cat\nSteps: 4" + ", " * 200_000),
        "a1111 quotes that never end": lambda: text("parameters", 'a cat\nSteps: 4, Lora hashes: "' + 'a: "' * 100_000),
        "a1111 backslashes": lambda: text("parameters", 'a cat\nSteps: 4, A: "' + "\\" * 300_000),
        "a1111 colons": lambda: text("parameters", "a: b" + " c: d," * 100_000 + "\n" + "x:" * 100_000),
        "a1111 words and colons": lambda: text("parameters", "\n".join("word word: " * 40 for _ in range(3000))),
        "a1111 line breaks": lambda: text("parameters", "\n" * 1_000_000 + "Steps: 4"),
        "a1111 negative prompts": lambda: text("parameters", "Negative prompt: " * 100_000 + "\nSteps: 4"),
        "a1111 numbers of 4000 digits": lambda: text("parameters", f"a cat\nSteps: {'9' * 4000}, Seed: {'9' * 4000}, CFG scale: {'9' * 4000}, Size: {'9' * 4000}x8"),
        "a1111 numbers nan": lambda: text("parameters", "a cat\nSteps: nan, Seed: inf, CFG scale: -inf, Size: 0x-1, Denoising strength: 1e999"),
        "a1111 thousand loras": lambda: text("parameters", "<lora:a:1>" * 20_000 + "\nSteps: 4"),
        "a1111 brackets 50000 deep": lambda: text("parameters", "(" * 50_000 + "cat" + ":1.1)" * 50_000 + "\nSteps: 4"),
        "a1111 angle brackets that never end": lambda: text("parameters", "<lora:" * 60_000 + "\nSteps: 4"),
        "a1111 in bad utf-8": lambda: text("parameters", b"\xff\xfe\xc0\x80" * 5000 + b"\nSteps: 4"),
        "fooocus of wrong types": lambda: text("parameters", json.dumps({"prompt": 1, "steps": "x", "resolution": "(a, b)", "seed": []})),
        "swarm of wrong types": lambda: text("parameters", json.dumps({"sui_image_params": {"prompt": [], "seed": {}, "width": "x"}})),
        "novelai comment nested": lambda: text("Comment", json.dumps({"prompt": {"prompt": {"prompt": {}}}, "v4_prompt": 7, "seed": None})),
        "a python pickle as text": lambda: text("parameters", b"\x80\x04cos\nsystem\n(S'id'\ntR."),
        "script in the prompt": lambda: text("parameters", "<script>alert(1)</script>{{7*7}}${7*7}\nSteps: 4, Model: \"><img src=x onerror=alert(1)>"),
    }  # fmt: skip


# ---- broken by chance ---------------------------------------------------------------------------------------------------


def broken(name: str, whole: bytes, seed: int) -> Made:
    """A good file cut, with bits turned, with another's head, with rubbish behind: the same for the same seed."""
    draw = Random(f"{name} {seed}")
    cut, rubbish, turns = draw.randrange(8, max(9, len(whole) - 1)), draw.randbytes(5000), draw.random()

    def turned() -> bytes:
        data, where = bytearray(whole), Random(turns)
        for _ in range(max(4, len(data) // 500)):
            data[where.randrange(len(data))] ^= 1 << where.randrange(8)
        return bytes(data)

    return {
        f"{name} cut at {cut}": lambda: whole[:cut],
        f"{name} with turned bits": turned,
        f"{name} head, then rubbish": lambda: whole[:24] + rubbish,
        f"{name} with zeros inside": lambda: whole[: len(whole) // 2] + b"\0" * (len(whole) // 2),
        f"{name} with itself inside": lambda: whole[: len(whole) // 2] + whole + whole[len(whole) // 2 :],
    }
