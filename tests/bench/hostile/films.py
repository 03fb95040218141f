"""Films and sound that are broken or endless, and playlists dressed as films, which would open another file.

`victim` is a film of another user, named in every playlist by its place in the data folder.
"""

from __future__ import annotations

import struct
import subprocess
from functools import cache
from pathlib import Path
from random import Random

from studio.library.media import ffmpeg
from tests.bench.hostile.pictures import Made, bomb, saved

FILM = (
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=64x48:rate=8:duration=1",
    "-f",
    "lavfi",
    "-i",
    "sine=300:duration=1",
)
SOUND = ("-f", "lavfi", "-i", "sine=300:sample_rate=8000:duration=0.5")


@cache
def encoded(*arguments: str, to: str) -> bytes:
    """What ffmpeg makes of those arguments, in that container."""
    fragments = ("-movflags", "frag_keyframe+empty_moov") if to in ("mp4", "mov", "ipod") else ()
    command = [ffmpeg(), "-v", "error", "-nostdin", *arguments, *fragments, "-f", to, "pipe:1"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def good() -> dict[str, bytes]:
    """One small whole file of every container people bring."""
    return {
        "png": saved("PNG"), "jpg": saved("JPEG"), "webp": saved("WEBP"), "gif": saved("GIF"),
        "bmp": saved("BMP"), "tif": saved("TIFF"), "avif": saved("AVIF"),
        "mp4": encoded(*FILM, "-c:v", "libx264", to="mp4"), "mov": encoded(*FILM, "-c:v", "mjpeg", to="mov"),
        "mkv": encoded(*FILM, "-c:v", "mjpeg", to="matroska"), "webm": encoded(*FILM, "-c:v", "libvpx", "-c:a", "libopus", to="webm"),
        "avi": encoded(*FILM, "-c:v", "mjpeg", to="avi"), "wav": encoded(*SOUND, to="wav"), "mp3": encoded(*SOUND, to="mp3"),
        "flac": encoded(*SOUND, to="flac"), "ogg": encoded(*SOUND, "-c:a", "libvorbis", to="ogg"),
        "opus": encoded(*SOUND, "-ar", "48000", "-c:a", "libopus", to="opus"), "m4a": encoded(*SOUND, "-c:a", "aac", to="ipod"),
    }  # fmt: skip


# ---- playlists that name another user's file ----------------------------------------------------------------------------


def manifest(url: str) -> bytes:
    """A DASH manifest with one film, whose first bytes pass for those of an MP4: `ftyp` stands in a comment.

    The brand `jp2 ` makes the prober of true MP4 files doubt, so that the manifest wins.
    """
    return (
        f'<!--ftypjp2 --><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" '
        f'type="static" mediaPresentationDuration="PT2S" minBufferTime="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="1" mimeType="video/mp4" bandwidth="1000" width="64" height="64"><BaseURL>{url}</BaseURL>'
        f"</Representation></AdaptationSet></Period></MPD>"
    ).encode()


def playlists(victim: Path) -> Made:
    """Everything ffmpeg knows that opens a second file, in the clothes of what a studio takes."""
    inside = victim.name
    urls = {"absolute path": str(victim), "file url": f"file://{victim}", "file: url": f"file:{victim}",
            "up and down": f"../../../../../../..{victim}", "name alone": inside,
            "concat url": f"concat:{victim}|{victim}", "subfile url": f"subfile,,start,0,end,0,,:{victim}",
            "crypto url": f"crypto+file:{victim}", "cache url": f"cache:file:{victim}", "pipe url": "pipe:0",
            "network url": "http://127.0.0.1:9/x.mp4", "data url": "data:video/mp4;base64,AAAA"}  # fmt: skip
    hls = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n%s\n#EXT-X-ENDLIST\n"
    concat = b"ffconcat version 1.0\nfile '%s'\n"
    tag = b"ID3\x04\0\0\0\0\0\0"
    path = str(victim).encode()
    sdp = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
    made: Made = {f"dash in mp4, {name}.mp4": (lambda url=url: manifest(url)) for name, url in urls.items()}  # type: ignore[misc]
    whole = manifest(str(victim))
    made |= {
        "dash in mov.mov": lambda: whole.replace(b"ftypjp2 ", b"ftypqt  "),
        "dash in m4a.m4a": lambda: whole.replace(b"ftypjp2 ", b"ftypM4A "),
        "dash in avif.avif": lambda: whole.replace(b"ftypjp2 ", b"ftypavif"),
        "dash in heic.heic": lambda: whole.replace(b"ftypjp2 ", b"ftypheic"),
        "dash behind a true mp4 head.mp4": lambda: b"\0\0\0\x14ftypisom\0\0\0\0isom" + whole,
        "dash behind an id3 tag.mp3": lambda: tag + whole,
        "dash behind ebml.mkv": lambda: b"\x1aE\xdf\xa3\x80" + whole,
        "dash plain.mpd": lambda: whole[15:],
        "dash with an entity.mp4": lambda: b'<!--ftypjp2 --><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + whole[15:].replace(path, b"&x;"),
        "hls plain.m3u8": lambda: hls % path,
        "hls called mp4.mp4": lambda: hls % path,
        "hls behind an id3 tag.mp3": lambda: tag + hls % path,
        "hls with a key file.mp3": lambda: tag + hls.replace(b"#EXTINF", b'#EXT-X-KEY:METHOD=AES-128,URI="%s"\n#EXTINF' % path) % path,
        "hls with a map.mp3": lambda: tag + hls.replace(b"#EXTINF", b'#EXT-X-MAP:URI="%s"\n#EXTINF' % path) % path,
        "hls behind a gif head.gif": lambda: b"GIF89a\n" + hls % path,
        "concat plain.txt": lambda: concat % path,
        "concat called mp4.mp4": lambda: concat % path,
        "concat behind an id3 tag.mp3": lambda: tag + concat % path,
        "sdp behind flac.flac": lambda: b"fLaC\n" + sdp,
        "sdp behind ogg.ogg": lambda: b"OggS\n" + sdp,
        "vobsub index.mp3": lambda: tag + b"# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n",
        "imf list behind an id3 tag.mp3": lambda: tag + b'<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"></CompositionPlaylist>',
        "rtsp redirect.mov": lambda: b"\0\0\0\x08ftypqt  RTSPtext\nrtsp://127.0.0.1:9/x\n",
        "mov whose data lie in another file.mov": lambda: _foreign_data(str(victim)),
        "quicktime reference movie.mov": lambda: _atom(b"ftyp", b"qt  \0\0\0\0qt  ") + _atom(b"moov", _atom(b"rmra", _atom(b"rmda", _atom(b"rdrf", b"\0" * 4 + b"url " + struct.pack(">I", len(path) + 1) + path + b"\0")))),
        "avisynth script.avs": lambda: b'AviSource("%s")\n' % path,
        "lua playlist.mkv": lambda: b"\x1aE\xdf\xa3#EXTM3U\n" + path,
        "asx playlist.wmv": lambda: b'<asx version="3.0"><entry><ref href="%s"/></entry></asx>' % path,
        "image sequence pattern.png": lambda: b"%03d.png",
    }  # fmt: skip
    return made


def _atom(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I", 8 + len(body) if size is None else size) + name + body


def _foreign_data(path: str) -> bytes:
    """A true film whose data reference is an alias to that path."""
    whole = encoded("-f", "lavfi", "-i", "testsrc=size=64x48:rate=8:duration=1", "-c:v", "mjpeg", to="mov")
    alias = _atom(
        b"alis",
        b"\0\0\0\0" + b"\0" * 148 + struct.pack(">HH", 2, len(path)) + path.encode() + b"\xff\xff\0\0",
    )
    at = whole.find(b"dref")
    return whole[: at + 12] + alias + whole[at + 24 :]


# ---- broken and endless -------------------------------------------------------------------------------------------------


def films() -> Made:
    head = _atom(b"ftyp", b"isom\0\0\0\0isom")
    return {
        "mp4 head alone.mp4": lambda: head,
        "mp4 atom of size 0.mp4": lambda: head + _atom(b"moov", b"", 0),
        "mp4 atom of size 1.mp4": lambda: head + b"\0\0\0\x01moov" + b"\xff" * 8,
        "mp4 atom of size 2^32-1.mp4": lambda: head + _atom(b"moov", b"x" * 100, 2**32 - 1),
        "mp4 atoms 5000 deep.mp4": lambda: head + _deep(5000),
        "mp4 200000 empty atoms.mp4": lambda: head + _atom(b"free", b"") * 200_000,
        "mp4 of a billion seconds.mp4": lambda: _long_film(),
        "mp4 udta of 20 MB.mp4": lambda: head + _atom(b"moov", _atom(b"udta", _atom(b"meta", b"\0" * (20 << 20)))),
        "mp4 sample table of 2^32.mp4": lambda: encoded(*FILM, "-c:v", "libx264", to="mp4").replace(b"stsz\0\0\0\0\0\0\0\0\0\0\0\0", b"stsz\0\0\0\0\0\0\0\0\xff\xff\xff\xff"),
        "mkv of unknown sizes.mkv": lambda: b"\x1aE\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff" + b"\x18S\x80g\x01\xff\xff\xff\xff\xff\xff\xff" * 2000,
        "mkv head alone.mkv": lambda: b"\x1aE\xdf\xa3",
        "mkv void without end.mkv": lambda: b"\x1aE\xdf\xa3\x80\x18S\x80g\x01\xff\xff\xff\xff\xff\xff\xff" + b"\xec\x81\0" * 300_000,
        "avi of a 10000x10000 frame.avi": lambda: _one_frame(10_000),
        "avi riff size 0.avi": lambda: b"RIFF\0\0\0\0AVI LIST\xff\xff\xff\xffhdrl" + b"\0" * 200,
        "avi lists in lists.avi": lambda: b"RIFF\xff\xff\xff\x7fAVI " + b"LIST\xff\xff\xff\x7fmovi" * 50_000,
        "film of 600 small frames.mp4": lambda: encoded("-f", "lavfi", "-i", "color=red:size=32x32:rate=600:duration=1", "-c:v", "libx264", to="mp4"),
        "film of one pixel.mkv": lambda: encoded("-f", "lavfi", "-i", "color=red:size=2x2:rate=1:duration=1", "-c:v", "ffv1", to="matroska"),
        "film as long as thin.mkv": lambda: encoded("-f", "lavfi", "-i", "color=red:size=16384x2:rate=1:duration=1", "-c:v", "ffv1", to="matroska"),
        "sixty sound tracks.mkv": lambda: encoded("-f", "lavfi", "-i", "sine=300:duration=0.1", *("-map", "0") * 60, "-c:a", "pcm_s16le", to="matroska"),
        "flv called mp4.mp4": lambda: encoded(*FILM, "-c:v", "flv1", "-ar", "44100", to="flv"),
        "mpeg stream called mp4.mp4": lambda: encoded(*FILM, "-c:v", "mpeg2video", "-r", "25", to="mpegts"),
    }  # fmt: skip


def sounds() -> Made:
    def wav(channels: int = 1, rate: int = 8000, bits: int = 16, align: int = 2, more: bytes = b"", data: bytes = b"\0" * 800) -> bytes:  # fmt: skip
        form = b"fmt \x10\0\0\0" + struct.pack(
            "<HHIIHH", 1, channels, rate, rate * align % 2**32, align, bits
        )
        body = b"WAVE" + form + more + b"data" + struct.pack("<I", len(data)) + data
        return b"RIFF" + struct.pack("<I", len(body)) + body

    whole = wav()
    tag = b"ID3\x04\0\0\x0f\x7f\x7f\x7f"
    page = b"OggS\0\x02" + b"\0" * 20 + b"\x01\x1e\x01vorbis" + b"\0" * 23
    return {
        "wav of 0 channels.wav": lambda: wav(channels=0),
        "wav of 65535 channels.wav": lambda: wav(channels=65535),
        "wav of rate 0.wav": lambda: wav(rate=0),
        "wav of rate 2^32-1.wav": lambda: wav(rate=2**32 - 1),
        "wav of 0 bits and align 0.wav": lambda: wav(bits=0, align=0),
        "wav without data.wav": lambda: whole[:36],
        "wav without fmt.wav": lambda: b"RIFF\x10\0\0\0WAVEdata\x04\0\0\0abcd",
        "wav that claims 4 GB.wav": lambda: whole[:40] + b"\xff\xff\xff\xff" + whole[44:],
        "wav riff head alone.wav": lambda: b"RIFF\xff\xff\xff\xffWAVE",
        "wav 200000 empty chunks.wav": lambda: wav(more=b"junk\0\0\0\0" * 200_000),
        "wav comment longer than the file.wav": lambda: wav(more=b"LIST\x20\0\0\0INFOICMT\xff\xff\xff\x7f" + b"x" * 16),
        "wav with a deep recipe.wav": lambda: wav(more=b"atlr" + struct.pack("<I", 200_000) + b"[" * 100_000 + b"]" * 100_000),
        "wav with a recipe of rubbish.wav": lambda: wav(more=b"atlr\x10\0\0\0" + bytes(range(240, 256))),
        "wav with surrogates in its comment.wav": lambda: wav(more=b"json" + struct.pack("<I", 30) + b'{"prompt": "\\ud800","seed":1}'),
        "flac of ten hours of silence.flac": lambda: encoded("-f", "lavfi", "-i", "anullsrc=r=1000:cl=mono", "-t", "36000", to="flac"),
        "flac head alone.flac": lambda: b"fLaC",
        "flac blocks without end.flac": lambda: b"fLaC" + b"\x01\0\0\0" * 300_000,
        "flac picture of 16 MB.flac": lambda: b"fLaC" + b"\x86\xff\xff\xff" + b"\0" * (1 << 20),
        "ogg the same page 50000 times.ogg": lambda: page * 50_000,
        "ogg page cut.ogg": lambda: page[:27],
        "ogg of 255 segments.ogg": lambda: b"OggS\0\0" + b"\0" * 20 + b"\xff" * 256,
        "ogg comment of 2^32.ogg": lambda: page + b"OggS\0\0" + b"\0" * 20 + b"\x01\x30\x03vorbis\xff\xff\xff\xff" + b"x" * 37,
        "mp3 tag that claims 32 MB.mp3": lambda: tag + b"TIT2" + b"\0" * 2000,
        "mp3 tag of 100000 frames.mp3": lambda: b"ID3\x04\0\0\0\x49\x3e\x00" + b"TXXX\0\0\0\x01\0\0\0" * 109_000,
        "mp3 cover that is a bomb.mp3": lambda: _covered(bomb(12_000, 12_000)),
        "mp3 of noise.mp3": lambda: b"\xff\xfb\x90\0" + Random(3).randbytes(3 << 20),
        "mp3 of sync words.mp3": lambda: b"\xff\xfb\x90\0" * 200_000,
        "mp3 tags in a row.mp3": lambda: b"ID3\x04\0\0\0\0\0\0" * 100_000,
        "m4a head alone.m4a": lambda: b"\0\0\0\x14ftypM4A \0\0\0\0M4A ",
        "midi.mid": lambda: b"MThd\0\0\0\x06\0\x01\xff\xff\0\x60MTrk\xff\xff\xff\xff",
        "amr.amr": lambda: b"#!AMR\n" + b"\x3c" * 1000,
        "caf.caf": lambda: b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20" + b"\xff" * 32,
    }  # fmt: skip


def _deep(levels: int) -> bytes:
    body = b""
    for _ in range(levels):
        body = _atom(b"moov", body)
    return body


def _long_film() -> bytes:
    whole = encoded(*FILM, "-c:v", "libx264", to="mp4")
    at = whole.find(b"mvhd")
    return whole[: at + 20] + b"\x7f\xff\xff\xff" + whole[at + 24 :]


def _one_frame(side: int) -> bytes:
    """A film of one JPEG, copied into its container without a decoder."""
    picture = saved("JPEG", size=(side, side))
    command = [ffmpeg(), "-v", "error", "-f", "mjpeg", "-i", "pipe:0", "-c", "copy", "-f", "avi", "pipe:1"]
    return subprocess.run(command, input=picture, capture_output=True, check=True).stdout


def _covered(picture: bytes) -> bytes:
    frame = b"\0image/png\0\x03\0" + picture
    body = b"APIC" + _syncsafe(len(frame)) + b"\0\0" + frame
    return b"ID3\x04\0\0" + _syncsafe(len(body)) + body + encoded(*SOUND, to="mp3")


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def canary_film(colour: str, size: str, seconds: float) -> bytes:
    """The other user's film: one colour nobody else uses."""
    source = f"color=c={colour}:size={size}:rate=25:duration={seconds}"
    return encoded("-f", "lavfi", "-i", source, "-c:v", "libx264", "-pix_fmt", "yuv444p", to="mp4")
