"""What a stranger's file cannot do, whatever is in it: open another file, reach the network, eat the machine."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.library import Library, UnreadableFile
from studio.library.reader import Reader
from studio.library.sandbox import landlock_version
from tests.bench.hostile.films import canary_film, films, playlists, sounds
from tests.library.conftest import made_by_ffmpeg, png
from tests.library.test_reader import reader_with

on_linux = pytest.mark.skipif(landlock_version() == 0, reason="this system has no Landlock")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


def tried(code: str) -> str:
    """What a reading sees that runs this code instead of a decoder: its `told`."""
    body = "\n".join(f"    {line}" for line in code.splitlines())
    reader = reader_with(
        f"def act(file, asked):\n{body}\n    return [told, '', '', {{}}], b''\n"
        "reader_process.OPERATIONS['examine'] = act"
    )
    try:
        return reader.examine(png(), "a.png").kind
    finally:
        reader.close()


@on_linux
def test_a_reading_opens_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"someone else's film")
    assert tried(
        f"try: told = open({str(secret)!r}).read()\nexcept OSError as e: told = type(e).__name__"
    ) == ("PermissionError")
    for place in (
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"os.listdir({str(tmp_path)!r})",
        "open('/etc/passwd')",
    ):
        assert (
            tried(f"try: {place}; told = 'done'\nexcept OSError as e: told = type(e).__name__")
            == "PermissionError"
        )


@on_linux
def test_neither_does_a_program_it_starts(tmp_path: Path) -> None:
    """ffmpeg is the one that would: it lives behind the same fences."""
    film = made_by_ffmpeg(tmp_path / "v.mp4", "-f", "lavfi", "-i", "testsrc=duration=0.5:size=64x48:rate=10")
    assert film
    code = (
        "import subprocess\nfrom studio.library import media\n"
        f"done = subprocess.run([media.ffmpeg(), '-i', {str(tmp_path / 'v.mp4')!r}], capture_output=True)\n"
        "told = done.stderr.decode()"
    )
    assert "Permission denied" in tried(code)


@on_linux
def test_a_reading_reaches_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = (
            f"import socket\ntry: socket.create_connection(('127.0.0.1', {port}), 5); told = 'connected'\n"
            "except OSError as e: told = 'refused'"
        )
        assert tried(code) == "refused"


@on_linux
def test_a_reading_has_no_rights_of_root_and_ends_nobody() -> None:
    code = (
        "import ctypes\nheader = (ctypes.c_uint32 * 2)(0x20080522, 0)\nheld = (ctypes.c_uint32 * 6)()\n"
        "ctypes.CDLL(None).capget(header, held)\ntold = ' '.join(str(word) for word in held)"
    )
    assert tried(code) == "0 0 0 0 0 0"


def test_a_reading_that_wants_all_memory_is_told_so() -> None:
    reader = reader_with(
        "def act(file, asked):\n    return [str(len(bytearray(3 << 30))), '', '', {}], b''\n"
        "reader_process.OPERATIONS['examine'] = act"
    )
    try:
        with pytest.raises(UnreadableFile, match="too much memory") as caught:
            reader.examine(png(), "a.png")
        assert "2.0 GB" in caught.value.detail
    finally:
        reader.close()


def test_a_playlist_dressed_as_a_film_shows_nobody_elses_film(library: Library, tmp_path: Path) -> None:
    """A DASH manifest called MP4 made ffmpeg open any film on the disk, and its first frame was the thumbnail."""
    victim = tmp_path / "library" / "video" / "victim.mp4"
    victim.parent.mkdir(parents=True)
    victim.write_bytes(canary_film("0xff00ff", "320x240", 1.0))
    refused, texts = [], []
    for name, make in playlists(victim).items():
        try:
            asset = library.add_upload(make(), name)
        except UnreadableFile:
            refused.append(name)
        else:
            texts.append(name)
            assert asset.kind in ("text", "code"), name
            assert "width" not in asset.facts, name
    assert "dash in mp4, absolute path.mp4" in refused
    assert "mov whose data lie in another file.mov" in refused
    assert "hls called mp4.mp4" in texts


def test_a_playlist_is_not_followed_even_without_fences(tmp_path: Path) -> None:
    """Where a system has no fences, the forced format and the one open file still hold."""
    victim = tmp_path / "victim.mp4"
    victim.write_bytes(canary_film("0xff00ff", "320x240", 1.0))
    dressed = {
        name: make for name, make in playlists(victim).items() if name.endswith((".mov", ".mp3", ".mkv"))
    }
    dressed["manifest"] = playlists(victim)["dash in mp4, absolute path.mp4"]
    reader = reader_with("reader_process.sandbox.fence_files = lambda readable: False")
    read = []
    try:
        for name, make in dressed.items():
            try:
                read.append((name, reader.examine(make(), name)))
            except UnreadableFile:
                continue
    finally:
        reader.close()
    assert read == []


def huge(side: int = 7_000) -> bytes:
    """A PNG of 49 megapixels in less than half a megabyte: 147 MB for whoever decodes it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer, row = zlib.compressobj(9), bytes(1 + 3 * side)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return png()[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory a process had")
def test_the_server_decodes_nothing_however_large(library: Library) -> None:
    """One picture of 149 megapixels took it to 1.9 GB, four at once to 7.1 GB."""
    data = huge()
    script = (
        "import re, sys, threading\nfrom studio.library.reader import Reader\n"
        "data = sys.stdin.buffer.read()\nreader = Reader(cpu_seconds=dict.fromkeys(['examine', 'thumbnail'], 120))\n"
        "def look(): reader.examine(data, 'a.png'); reader.thumbnail(data, 'image')\n"
        "threads = [threading.Thread(target=look) for _ in range(4)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        # not ru_maxrss: that one begins with what the process had that started this one
        "most = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(int(most) // 1024, 'PIL' in sys.modules)\nreader.close()"
    )
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True)
    megabytes, has_pillow = done.stdout.split()
    assert has_pillow == b"False"
    assert int(megabytes) < 100


def test_the_process_ends_with_its_server() -> None:
    """A server that is killed says nothing; its readers see the end of their input, even in the middle of a file."""
    script = (
        "import os, sys, threading, time\nsys.path.insert(0, '.')\nfrom tests.library.test_reader import pids, reader_with\n"
        "from tests.library.conftest import png\n"
        "reader = reader_with('def sleep(file, asked): time.sleep(1000)\\n' "
        "\"reader_process.OPERATIONS['examine'] = sleep\")\n"
        "reader.recipe(png())\n"
        "threading.Thread(target=lambda: reader.examine(png(), 'a.png'), daemon=True).start()\n"
        "print(pids(reader)[0], flush=True)\ntime.sleep(1000)"
    )
    root = Path(__file__).resolve().parents[2]
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root)
    assert server.stdout is not None
    process = psutil.Process(int(server.stdout.readline()))
    server.kill()
    server.wait()
    server.stdout.close()
    process.wait(60)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_program_of_a_reading_ends_with_it() -> None:
    """A reader that is killed in the middle of a film leaves no ffmpeg behind."""
    script = (
        "import io, sys\nfrom studio.library import media\n"
        "media.ffmpeg_command = lambda *told: (['sleep', '1000'], {'preexec_fn': media.die_with_parent})\n"
        "print(flush=True)\nmedia.run_ffmpeg(None, None, [])"
    )
    reading = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert reading.stdout is not None
    reading.stdout.readline()
    parent = psutil.Process(reading.pid)
    while not (children := parent.children()):
        time.sleep(0.02)
    reading.kill()
    reading.wait()
    reading.stdout.close()
    psutil.wait_procs(children, timeout=60)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_a_cover_that_is_a_bomb_costs_nothing_and_the_song_is_kept(reader: Reader) -> None:
    """ffmpeg decoded the picture inside a sound before anyone had asked for it: 144 megapixels, seven seconds."""
    song = sounds()["mp3 cover that is a bomb.mp3"]()
    found = reader.examine(song, "song.mp3")
    assert (found.kind, found.facts["sample_rate"], "width" in found.facts) == ("audio", 8000, False)
    assert reader.recipe(song, "song.mp3").reason == "There are no settings in this file."


def test_frames_too_large_to_decode_are_told_with_their_numbers(reader: Reader) -> None:
    with pytest.raises(UnreadableFile) as caught:
        reader.examine(films()["avi of a 10000x10000 frame.avi"](), "large.avi")
    assert "10000 × 10000 pixels; 67 million is the most" in caught.value.detail


def test_facts_of_a_turned_film_are_what_is_seen(library: Library, tmp_path: Path) -> None:
    film = tmp_path / "v.mp4"
    made_by_ffmpeg(film, "-f", "lavfi", "-i", "testsrc=duration=0.5:size=64x48:rate=10")
    turned = made_by_ffmpeg(tmp_path / "t.mp4", "-display_rotation", "90", "-i", str(film), "-c", "copy")
    over = made_by_ffmpeg(tmp_path / "o.mp4", "-display_rotation", "180", "-i", str(film), "-c", "copy")
    asset = library.add_upload(turned, "phone.mp4")
    assert (asset.facts["width"], asset.facts["height"]) == (48, 64)
    assert library.add_upload(over, "over.mp4").facts["width"] == 64
    from PIL import Image

    with Image.open(library.open(library.thumbnail(asset))) as thumbnail:
        assert thumbnail.size == (48, 64)


def test_the_doctor_tells_what_keeps_readings_in() -> None:
    from studio.cli.doctor import reading

    found = reading()
    assert (found.name, found.mend) == ("File reader", "")
    assert "bounded time" in found.text
    if landlock_version():
        assert "other files out of reach" in found.text
        assert "no network" in found.text
