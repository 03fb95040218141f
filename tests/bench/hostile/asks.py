"""Requests no client would send: to our own routes, to OpenAI's, to Gradio's, and below HTTP.

A case is a function that asks; the house keeps the answers, and who runs the case judges them.
"""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from tests.bench.hostile import pictures
from tests.bench.hostile.house import MALLORY, Answer, House, Things

Ask = Callable[[House, Things], Any]
Asks = dict[str, Ask]
JSON = {"Content-Type": "application/json"}
DEEP = b"[" * 100_000 + b"]" * 100_000
DIGITS = "9" * 400
JOB = {"modality": "audio", "model": "espeak", "prompt": "one"}
CHAT = {"messages": [{"role": "user", "content": "one"}], "max_tokens": 4}
PICTURE = {"prompt": "one", "size": "64x64", "steps": 1}
SPEECH = {"input": "one", "model": "espeak"}
COMPLETION = {"prompt": "def f():", "max_tokens": 4}
ROUTES: dict[str, dict[str, Any]] = {
    "/api/jobs": JOB, "/api/plan": JOB, "/v1/chat/completions": CHAT, "/v1/images/generations": PICTURE,
    "/v1/audio/speech": SPEECH, "/v1/completions": COMPLETION,
}  # fmt: skip


def post(path: str, content: Any, headers: dict[str, str] = JSON) -> Ask:
    return lambda house, things: house.ask("POST", path, content=content, headers=headers)


def get(path: str, **headers: str) -> Ask:
    return lambda house, things: house.ask("GET", path, headers=headers)


def blocks(nbytes: int, block: bytes = b"x" * (1 << 20)) -> Iterator[bytes]:
    for _ in range(0, nbytes, len(block)):
        yield block


# ---- bodies -----------------------------------------------------------------------------------------------------------


def bodies() -> Asks:
    """The same nonsense to every route that takes JSON."""
    made: Asks = {}
    for path, good in ROUTES.items():
        main = "input" if "speech" in path else "messages" if "chat" in path else "prompt"
        sent: dict[str, bytes] = {
            "deep": DEEP,
            "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
            "deep in a field": json.dumps(good).encode()[:-1] + b', "seed": ' + DEEP + b"}",
            "empty": b"",
            "no json": b"\xff\xfe{",
            "bom": b"\xef\xbb\xbf" + json.dumps(good).encode(),
            "utf-16": json.dumps(good).encode("utf-16"),
            "a list": b"[1,2]",
            "a word": b'"x"',
            "null": b"null",
            "nan": json.dumps({**good, "seed": "N"}).encode().replace(b'"N"', b"NaN"),
            "infinity": json.dumps({**good, "temperature": "N"}).encode().replace(b'"N"', b"-Infinity"),
            "seed of 400 digits": json.dumps(good).encode()[:-1] + b', "seed": ' + DIGITS.encode() + b"}",
            "number of 100000 digits": json.dumps(good).encode()[:-1] + b', "seed": ' + b"9" * 100_000 + b"}",
            "1e999": json.dumps(good).encode()[:-1] + b', "guidance_scale": 1e999, "temperature": 1e999, "speed": 1e999}',
            "lone surrogate": json.dumps({**good, main: "a\ud800b"}).encode(),
            "lone surrogate in a name": json.dumps({**good, "a\ud800": 1}).encode(),
            "lone surrogate in the model": json.dumps({**good, "model": "\udfff"}).encode(),
            "nul": json.dumps({**good, main: "a\0b"}).encode(),
            "main field is a list of lists": json.dumps({**good, main: [[["x"]]]}).encode(),
            "main field is null": json.dumps({**good, main: None}).encode(),
            "wrong types all over": json.dumps({**good, **{key: {"a": [1]} for key in ("seed", "model", "width", "stop", "n", "stream", "voice", "format")}}).encode(),
            "10 MB prompt": json.dumps({**good, main: "word " * 2_000_000}).encode(),
            "model is a way": json.dumps({**good, "model": "../../../etc/passwd"}).encode(),
            "100000 unknown fields": json.dumps(good | {f"k{n}": n for n in range(100_000)}).encode(),
        }  # fmt: skip
        made |= {f"{path} {name}": post(path, body) for name, body in sent.items()}
    return made


def large() -> Asks:
    """Bodies without an end in sight, and answers that must stay small."""
    long = {"modality": "text", "prompt": "a", "history": [{"role": "user", "content": "x" * 1_000_000}] * 60}
    many = {"modality": "text", "prompt": "a", "history": [{"role": "user", "content": "x"}] * 200_000}
    stops = {"modality": "text", "prompt": "a", "stop": ["x" * 10_000] * 1000}
    surrogate = {"modality": "text", "prompt": "a", "history": [{"role": "user", "content": "\ud800"}]}

    def half_gigabyte() -> Iterator[bytes]:
        return itertools.chain([b'{"modality":"text","prompt":"'], blocks(500 << 20), [b'"}'])

    def and_list(body: dict[str, Any]) -> Ask:
        def run(house: House, things: Things) -> Answer:
            house.ask("POST", "/api/jobs", content=json.dumps(body).encode(), headers=JSON)
            return house.ask("GET", "/api/jobs?limit=1")

        return run

    made: Asks = {f"{path} 500 MB": post(path, half_gigabyte()) for path in ROUTES}
    made |= {path + " 500 MB": post(path, half_gigabyte()) for path in ("/login", "/gradio_api/queue/join", "/gradio_api/run/predict", "/page/recipe", "/gradio_api/component_server")}  # fmt: skip
    return made | {
        "history of 60 MB, then the list": and_list(long),
        "history of 200000 turns": and_list(many),
        "history with a surrogate, then the list": and_list(surrogate),
        "a thousand long stops": and_list(stops),
        "gzip bomb as a body": post("/api/jobs", gzip.compress(b" " * (64 << 20), mtime=0), JSON | {"Content-Encoding": "gzip"}),
        "upload of 1.2 GB": lambda house, things: house.ask("POST", "/api/uploads", content=itertools.chain([b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'], blocks(1200 << 20), [b"\r\n--x--"]), headers={"Content-Type": "multipart/form-data; boundary=x"}),
        "a field of 200 MB beside the file": lambda house, things: house.ask("POST", "/api/uploads", content=itertools.chain([b'--x\r\nContent-Disposition: form-data; name="y"\r\n\r\n'], blocks(200 << 20), [b"\r\n--x--"]), headers={"Content-Type": "multipart/form-data; boundary=x"}),
        "fifty thousand tags": lambda house, things: _tagged(house, [f"t{n}" for n in range(50_000)]),
        "a tag of 5 MB": lambda house, things: _tagged(house, ["t" * 5_000_000]),
        "tags of surrogates and nul": lambda house, things: house.ask("PUT", f"/api/assets/{_own(house)}/tags", content=b'{"tags": ["\\ud800", "\\u0000"]}', headers=JSON),
    }  # fmt: skip


def _own(house: House) -> str:
    return str(house.upload("mine.txt", b"mine").json().get("id", "none"))


def _tagged(house: House, tags: list[str]) -> Answer:
    house.ask("PUT", f"/api/assets/{_own(house)}/tags", json={"tags": tags})
    return house.ask("GET", "/api/assets?limit=5")


# ---- addresses --------------------------------------------------------------------------------------------------------


def addresses() -> Asks:
    """Words, numbers and ways where the address has room for them."""
    search = {
        "huge offset": f"offset={DIGITS}", "offset of 64 bits": f"offset={2**63}", "negative offset": "offset=-1",
        "huge limit": f"limit={DIGITS}", "zero limit": "limit=0", "limit of words": "limit=x", "since nan": "since=nan",
        "since 1e999": "since=1e999", "since year 99999": "since=99999-01-01", "until of 400 digits": f"until={DIGITS}",
        "since of blanks": "since=%20", "quotes open": "text=%22", "search words of its own": "text=a%20OR%20b*%20NEAR%20(x)",
        "search of stars": "text=***", "search of 50 kB": "text=" + "a%20" * 12_000, "nul": "text=%00", "surrogate": "text=%ED%A0%80",
        "injection": "text=%27)%20OR%201=1--", "kind of nothing": "kind=x%27y", "tag of percent": "tag=%25_%25", "tag nul": "tag=%00",
        "job of another": "job_id=$JOB", "twice": "limit=1&limit=2", "starred maybe": "starred=maybe", "model like": "model=%25",
    }  # fmt: skip
    ways = [
        "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//....//etc/passwd",
        "..%c0%afetc/passwd", "%00", "a%00b", "%ff%fe", "con", "x" * 5000, "%F0%9F%98%80", "..\\..\\windows\\win.ini",
        "file:///etc/passwd", "-1", DIGITS, "'%20OR%201=1--", "{{7*7}}", "%0d%0aSet-Cookie:%20a=b",
    ]  # fmt: skip
    made: Asks = {f"search, {name}": _with_job(f"/api/assets?{query}") for name, query in search.items()}
    for way in ways:
        for place in (
            "/api/assets/{}/file",
            "/api/jobs/{}",
            "/theme/{}",
            "/gradio_api/file={}",
            "/v1/models/{}",
        ):
            made[f"{place} {way[:40]}"] = get(place.format(way))
    made |= {
        "address of 200 kB": get("/api/assets?text=" + "a" * 200_000),
        "login leads to another site": lambda house, things: _leads_away(house, "//evil.example/"),
        "login leads away by backslash": lambda house, things: _leads_away(house, "/\\evil.example/"),
        "login leads away by control characters": lambda house, things: _leads_away(house, "/%09/evil.example/"),
        "login leads to a script": lambda house, things: _leads_away(house, "javascript:alert(1)"),
        "plan by query with rubbish": get(f"/api/plan?modality=image&width={DIGITS}&prompt=%00&num_images=-1"),
        "plan of no modality": get("/api/plan?modality=%ED%A0%80"),
        "events of nothing": get("/api/jobs/none/events"),
        "jobs huge limit": get(f"/api/jobs?limit={DIGITS}"),
        "jobs active maybe": get("/api/jobs?active=%00"),
        "openapi": get("/openapi.json"),
        "docs": get("/docs"),
        "metrics with rubbish": get("/metrics?" + "a=b&" * 10_000),
        "double slashes": get("//api//jobs"),
        "dots": get("/api/./../api/jobs"),
        "absolute to another host": lambda house, things: house.raw(b"GET http://evil.example/api/jobs HTTP/1.1\r\nHost: evil.example\r\n$LOGIN\r\n\r\n", "absolute", login=True),
    }  # fmt: skip
    return made


def _with_job(path: str) -> Ask:
    return lambda house, things: house.ask("GET", path.replace("$JOB", things.job))


def _leads_away(house: House, there: str) -> Answer:
    form = {"username": MALLORY[0], "password": MALLORY[1]}
    answer = house.ask(
        "POST", f"/login?next={quote(there, safe='%')}", data=form, headers={"Accept": "text/html"}
    )
    to = answer.headers.get("location", "/")
    if not to.startswith("/") or to.startswith(("//", "/\\", "/\t")):
        return house.keep("login leads away", Answer(500, 0, trouble=f"led to {to}"))
    return answer


# ---- what belongs to Alice ----------------------------------------------------------------------------------------------


def others() -> Asks:
    """Everything of Alice's by its true name."""
    made: Asks = {}
    for n, what in enumerate(("text", "film", "picture", "told picture")):
        for method, rest in (("GET", ""), ("GET", "/file"), ("GET", "/content"), ("GET", "/thumbnail"), ("PUT", "/star"), ("POST", "/trash"), ("DELETE", "")):  # fmt: skip
            made[f"her {what}: {method} {rest or 'itself'}"] = _of_hers(method, "/api/assets/{}" + rest, n)
    for method, rest in (("GET", ""), ("GET", "/events"), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/up"), ("POST", "/again")):  # fmt: skip
        made[f"her job: {method} {rest or 'itself'}"] = lambda house, things, method=method, rest=rest: (
            house.ask(method, f"/api/jobs/{things.job}{rest}")
        )  # type: ignore[misc]
    inputs = {"picture as a start picture": (2, "init_image"), "film as a start picture": (1, "init_image"), "picture as a mask": (2, "mask_image"), "text as a start picture": (0, "init_image")}  # fmt: skip
    for name, (n, knob) in inputs.items():
        made[f"her {name}"] = _borrowed(n, knob)
    return made | {
        "her film by its path": lambda house, things: _borrow(house, {"init_image": str(things.film)}),
        "her film by a relative path": lambda house, things: _borrow(house, {"init_image": "../" + things.film.name}),
        "her file in gradio's store": lambda house, things: house.ask("GET", f"/gradio_api/file={things.gradio}"),
        "her file in gradio's store, downloaded": lambda house, things: house.ask("GET", f"/gradio_api/file={things.gradio}?download=1"),
        "her film by gradio": lambda house, things: house.ask("GET", f"/gradio_api/file={things.film}"),
        "the database by gradio": lambda house, things: house.ask("GET", f"/gradio_api/file={house.data}/studio.db"),
        "the login file by gradio": lambda house, things: house.ask("GET", f"/gradio_api/file={house.data}/login.json"),
        "her text searched for": lambda house, things: house.ask("GET", "/api/assets?text=rabbit"),
        "her things by owner": lambda house, things: house.ask("GET", "/api/assets?owner=alice"),
        "her jobs by owner": lambda house, things: house.ask("GET", "/api/jobs?owner=alice"),
        "a job in her name": lambda house, things: house.ask("POST", "/api/jobs", json={**JOB, "owner": "alice"}),
        "her name in a header": lambda house, things: house.ask("GET", f"/api/assets/{things.assets[0]}/file", headers={"X-Forwarded-User": "alice", "X-Remote-User": "alice", "Remote-User": "alice"}),
        "the whole line": lambda house, things: house.ask("GET", "/api/line"),
        "memory": lambda house, things: house.ask("GET", "/api/memory"),
        "metrics": lambda house, things: house.ask("GET", "/metrics"),
    }  # fmt: skip


def _of_hers(method: str, path: str, n: int) -> Ask:
    return lambda house, things: house.ask(method, path.format(things.assets[n]))


def _borrowed(n: int, knob: str) -> Ask:
    return lambda house, things: _borrow(house, {knob: things.assets[n]})


def _borrow(house: House, inputs: dict[str, str]) -> Answer:
    """A picture asked for from an input that is not hers: refused, or made without it; looked at if made."""
    given = {"modality": "image", "model": "starter/image", "prompt": "a", "num_inference_steps": 1, "width": 64, "height": 64, "strength": 0.1}  # fmt: skip
    answer = house.ask("POST", "/api/jobs", json=given | inputs)
    if answer.status != 202:
        return answer
    job = str(answer.json()["id"])
    for _ in range(600):
        now = house.ask("GET", f"/api/jobs/{job}").json()
        if now.get("status") not in ("queued", "in_progress"):
            break
        threading.Event().wait(0.1)
    for asset in now.get("assets", []):
        answer = house.ask("GET", f"/api/assets/{asset}/file")
    return answer


# ---- uploads as no browser sends them -----------------------------------------------------------------------------------


def uploads() -> Asks:
    names = {
        "a way out": "../../../../tmp/atelier-was-here", "an absolute path": "/etc/cron.d/x", "a windows path": "..\\..\\x.png",
        "of nothing": "", "of dots": "..", "of 5000 letters": "x" * 5000 + ".png", "of emoji": "🦊" * 300 + ".png",
        "with a line break": "a%0d%0aX-Evil: 1.png", "right to left": "\u202egnp.exe", "with quotes": 'a";filename="b.png',
        "with markup": "<img src=x onerror=alert(1)>.png", "with a template": "{{7*7}}.png", "with a nul": "a%00.png",
        "of a device": "CON.png", "of a shell": "$(touch /tmp/atelier-was-here).png", "of an option": "-y.mp4", "of a protocol": "concat:a|b.mp4",
    }  # fmt: skip
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    good = pictures.png()
    kinds = {"Content-Type": "multipart/form-data; boundary=x"}
    sent = {
        "no boundary": (form + good + b"\r\n--x--", {"Content-Type": "multipart/form-data"}),
        "boundary of 5 kB": (form, {"Content-Type": "multipart/form-data; boundary=" + "x" * 5000}),
        "wrong boundary": (form + good, {"Content-Type": "multipart/form-data; boundary=y"}),
        "no end": (form + good, kinds),
        "no field": (b"--x--\r\n", kinds),
        "file is a text field": (b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--x--\r\n', kinds),
        "ten thousand fields": (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 10_000 + b"--x--\r\n", kinds),
        "two thousand files": (form * 2000 + b"--x--\r\n", kinds),
        "a head of 1 MB": (b"--x\r\nX-A: " + b"a" * 1_000_000 + b"\r\n\r\nb\r\n--x--\r\n", kinds),
        "no name": (b"--x\r\nContent-Disposition: form-data\r\n\r\nb\r\n--x--\r\n", kinds),
        "name in bad utf-8": (form.replace(b"a.png", b"\xff\xfe.png") + good + b"\r\n--x--\r\n", kinds),
        "name of surrogates": (form.replace(b"a.png", b"\xed\xa0\x80.png") + good + b"\r\n--x--\r\n", kinds),
        "json instead": (b"{}", JSON),
        "form instead": (b"file=a", {"Content-Type": "application/x-www-form-urlencoded"}),
        "charset of nothing": (form.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain; charset=nothing\r\n\r\n") + b"a\r\n--x--\r\n", kinds),
    }  # fmt: skip
    made: Asks = {f"upload named {what}": (lambda house, things, name=name: house.upload(name, good)) for what, name in names.items()}  # type: ignore[misc]  # fmt: skip
    for path in ("/api/uploads", "/page/recipe", "/gradio_api/upload"):
        for what, (body, headers) in sent.items():
            made[f"{path} {what}"] = post(path, body, headers)
    return made


# ---- the door ---------------------------------------------------------------------------------------------------------


def doors() -> Asks:
    """Origins, cookies, keys and passwords that are not right. None of these may be answered as if they were."""

    def stranger(path: str, headers: dict[str, str], method: str = "GET", **more: Any) -> Ask:
        """Without Mallory's own login: anything but a refusal counts as a fault."""

        def run(house: House, things: Things) -> Answer:
            house.stranger.cookies.clear()
            answer = house.ask(method, path, who="stranger", headers=headers, **more)
            if 0 < answer.status < 300:
                house.keep(
                    "let in without a login",
                    Answer(500, 0, trouble=f"let in: {method} {path} {headers}"[:200]),
                )
            return answer

        return run

    def foreign(headers: dict[str, str]) -> Ask:
        """With Mallory's login, sent by another site's page: must change nothing."""

        def run(house: House, things: Things) -> Answer:
            answer = house.ask("POST", "/api/jobs", json=JOB, headers=headers)
            if answer.status < 300:
                house.keep(
                    "order of a foreign page taken", Answer(500, 0, trouble=f"taken from {headers}"[:200])
                )
            return answer

        return run

    cookie = "atelier_session"
    return {
        "no login": stranger("/api/jobs", {}),
        "no login, page": stranger("/config", {}),
        "no login, gradio upload": stranger("/gradio_api/upload", {}, "POST", files={"files": ("a.txt", b"a")}),
        "no login, gradio queue": stranger("/gradio_api/queue/join", {}, "POST", json={"data": [], "fn_index": 0, "session_hash": "a"}),
        "no login, monitoring": stranger("/gradio_api/monitoring/summary", {}),
        "no login, upload": stranger("/api/uploads", {}, "POST", files={"file": ("a.txt", b"a")}),
        "no login, status": stranger("/page/status", {}),
        "no login, metrics": stranger("/metrics", {}),
        "empty bearer": stranger("/api/jobs", {"Authorization": "Bearer"}),
        "bearer of 50 kB": stranger("/api/jobs", {"Authorization": "Bearer " + "x" * 50_000}),
        "bearer not ascii": lambda house, things: house.raw("GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer grün\r\nConnection: close\r\n\r\n".encode(), "bearer not ascii"),
        "basic of rubbish": stranger("/api/jobs", {"Authorization": "Basic %%%"}),
        "basic without a colon": stranger("/api/jobs", {"Authorization": "Basic YWxpY2U="}),
        "basic with a nul": stranger("/api/jobs", {"Authorization": "Basic AGFsaWNlOng="}),
        "digest": stranger("/api/jobs", {"Authorization": 'Digest username="alice", realm="x"'}),
        "cookie of nothing": stranger("/api/jobs", {"Cookie": f"{cookie}="}),
        "cookie of rubbish": stranger("/api/jobs", {"Cookie": f"{cookie}=%00.9999999999.x"}),
        "cookie of 60 kB": stranger("/api/jobs", {"Cookie": f"{cookie}=" + "x" * 60_000}),
        "two thousand cookies": stranger("/api/jobs", {"Cookie": "; ".join(f"c{n}={cookie}" for n in range(2000))}),
        "cookie signed with nothing": stranger("/api/jobs", {"Cookie": f"{cookie}=YWxpY2U=.9999999999.{'0' * 64}"}),
        "cookie of no algorithm": stranger("/api/jobs", {"Cookie": f"{cookie}=eyJhbGciOiJub25lIn0.eyJ1c2VyIjoiYWxpY2UifQ."}),
        "forwarded for this machine": stranger("/api/jobs", {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Host": "localhost"}),
        "another way to the same place": stranger("/API/JOBS", {}),
        "a way around by slashes": stranger("//api/jobs", {}),
        "a way around by dots": stranger("/login/../api/jobs", {}),
        "a way around by semicolon": stranger("/login;/api/jobs", {}),
        "method override": stranger("/api/jobs?_method=GET", {"X-HTTP-Method-Override": "GET"}, "PUT"),
        "foreign origin and site": foreign({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}),
        "foreign site alone": foreign({"Sec-Fetch-Site": "cross-site"}),
        "same site, other port": foreign({"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"}),
        "form from another site": foreign({"Origin": "null", "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}),
        "preflight": lambda house, things: house.ask("OPTIONS", "/api/jobs", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}),
        "preflight of gradio": lambda house, things: _cors(house, "/gradio_api/info", "http://localhost:9999"),
        "preflight of gradio, null": lambda house, things: _cors(house, "/config", "null"),
        "name out of a form with surrogates": lambda house, things: house.ask("POST", "/login", content=b"username=%ED%A0%80&password=%00", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        "login form of 5 MB": lambda house, things: house.ask("POST", "/login", content=b"username=" + b"a" * 5_000_000, headers={"Content-Type": "application/x-www-form-urlencoded"}),
        "login as json": lambda house, things: house.ask("POST", "/login", content=DEEP, headers=JSON),
        "login by another method": lambda house, things: house.ask("DELETE", "/login"),
    }  # fmt: skip


def _cors(house: House, path: str, origin: str) -> Answer:
    answer = house.ask("GET", path, headers={"Origin": origin})
    allowed = answer.headers.get("access-control-allow-origin", "")
    if allowed in (origin, "*") and answer.headers.get("access-control-allow-credentials") == "true":
        house.keep(
            "a foreign page may read with the login", Answer(500, 0, trouble=f"{path} allows {origin}")
        )
    return answer


def passwords() -> Asks:
    """Last of all: forty wrong passwords, each answered, none let in, and Alice goes on."""

    def run(house: House, things: Things) -> None:
        for n in range(40):
            form = {"username": "alice", "password": f"guess {n}"}
            answer = house.ask("POST", "/login", data=form, headers={"Accept": "application/json"})
            if answer.status == 200 and answer.json().get("success"):
                house.keep("let in", Answer(500, 0, trouble="a wrong password was let in"))

    return {"forty wrong passwords": run}


# ---- Gradio's own routes ------------------------------------------------------------------------------------------------


def gradio() -> Asks:
    join = "/gradio_api/queue/join"

    def joined(**more: Any) -> Ask:
        body = {"data": [], "fn_index": 0, "session_hash": "mallory1", **more}
        return lambda house, things: house.ask("POST", join, content=json.dumps(body).encode(), headers=JSON)

    return {
        "join of a function that is not": joined(fn_index=10**9),
        "join of a negative function": joined(fn_index=-1),
        "join of a function of words": joined(fn_index="x"),
        "join with 400 digits": joined(fn_index=int(DIGITS)),
        "join without data": joined(data=None),
        "join with data of another length": joined(data=["x"] * 5000),
        "join with data of wrong types": joined(data={"a": 1}),
        "join with a file that is not": joined(data=[{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]),
        "join with a url": joined(data=[{"path": "x", "url": "http://127.0.0.1:9/x", "meta": {"_type": "gradio.FileData"}}]),
        "join with a surrogate": joined(session_hash="\ud800"),
        "join with a long session": joined(session_hash="x" * 100_000),
        "join in alice's session": joined(session_hash="alice1"),
        "join, deep": post(join, DEEP),
        "join, no json": post(join, b"\xff"),
        "join, empty": post(join, b""),
        "data of a session that is not": get("/gradio_api/queue/data?session_hash=none"),
        "data of a session with a surrogate": get("/gradio_api/queue/data?session_hash=%ED%A0%80"),
        "data without a session": get("/gradio_api/queue/data"),
        "status": get("/gradio_api/queue/status"),
        "heartbeat of another": get("/gradio_api/heartbeat/alice1"),
        "reset of another": post("/gradio_api/reset", json.dumps({"event_id": "x"}).encode()),
        "reset, deep": post("/gradio_api/reset", DEEP),
        "cancel of another": post("/gradio_api/cancel", json.dumps({"session_hash": "alice1", "fn_index": 0, "event_id": "x"}).encode()),
        "cancel, empty": post("/gradio_api/cancel", b""),
        "predict of a name that is not": post("/gradio_api/run/none", json.dumps({"data": []}).encode()),
        "predict, deep": post("/gradio_api/run/predict", DEEP),
        "predict, wrong types": post("/gradio_api/api/predict", b'{"data": 7, "fn_index": []}'),
        "call of a name that is not": post("/gradio_api/call/none", json.dumps({"data": []}).encode()),
        "call, result of nothing": get("/gradio_api/call/none/none"),
        "component server": post("/gradio_api/component_server", json.dumps({"session_hash": "a", "component_id": 1, "fn_name": "__init__", "data": 0}).encode()),
        "component server, wrong types": post("/gradio_api/component_server", b'{"component_id": "x", "fn_name": [], "session_hash": {}}'),
        "component server, deep": post("/gradio_api/component_server", DEEP),
        "info": get("/gradio_api/info"),
        "config": get("/config"),
        "startup events": get("/gradio_api/startup-events"),
        "monitoring": get("/monitoring"),
        "monitoring summary": get("/gradio_api/monitoring/summary"),
        "monitoring with a key": get("/gradio_api/monitoring/x"),
        "app id": get("/gradio_api/app_id"),
        "dev reload": get("/gradio_api/dev/reload"),
        "proxy": get("/gradio_api/proxy=http://127.0.0.1:9/x"),
        "proxy of a file": get("/gradio_api/proxy=file:///etc/passwd"),
        "stream of nothing": get("/gradio_api/stream/a/b/0/playlist.m3u8"),
        "stream with ways": get("/gradio_api/stream/..%2f/..%2f/0/x.ts"),
        "upload progress of nothing": get("/gradio_api/upload_progress?upload_id=none"),
        "static with ways": get("/static/..%2f..%2f..%2fetc%2fpasswd"),
        "assets with ways": get("/assets/..%2f..%2f..%2fetc%2fpasswd"),
        "custom component with ways": get("/custom_component/..%2f/client/component/index.js"),
        "theme.css with a hash": get("/theme.css?v=%00"),
        "favicon": get("/favicon.ico"),
        "manifest": get("/manifest.json"),
        "robots": get("/robots.txt"),
        "deep link of nothing": get("/?deep_link=..%2f..%2fx"),
        "deep link by gradio": get("/gradio_api/deep_link?session_hash=alice1"),
        "file of a folder": get("/gradio_api/file=/"),
        "file of a process": get("/gradio_api/file=/proc/self/environ"),
        "file of a url": get("/gradio_api/file=http://127.0.0.1:9/x"),
        "file of the program": get("/gradio_api/file=launch.py"),
        "file of nothing": get("/gradio_api/file="),
        "vibe": post("/gradio_api/vibe-code/", b"{}"),
        "mcp": get("/gradio_api/mcp/sse"),
    }  # fmt: skip


# ---- below HTTP -------------------------------------------------------------------------------------------------------


def wires() -> Asks:
    """Bytes on the port. A request that is not whole may be left waiting; one that is whole must be answered."""
    head = b"GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\n"
    send = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nContent-Type: application/json\r\n"
    close = b"Connection: close\r\n"
    inner = b"GET /api/assets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: a\r\n\r\n"
    whole = {
        "a thousand headers": head + close + b"".join(b"X-%d: a\r\n" % n for n in range(1000)) + b"\r\n",
        "a header of 200 kB": head + close + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
        "a header of control characters": head + close + b"X-A: \x01\x02\x7f\r\n\r\n",
        "a header with a nul": head + close + b"X-A: a\0b\r\n\r\n",
        "a header name of blanks": head + close + b" : a\r\n\r\n",
        "a header that goes on": head + close + b"X-A: a\r\n b\r\n\r\n",
        "two hosts": head + close + b"Host: evil.example\r\n\r\n",
        "no host": b"GET /api/jobs HTTP/1.1\r\n$LOGIN\r\n" + close + b"\r\n",
        "host of rubbish": b"GET /api/jobs HTTP/1.1\r\nHost: [::1\r\n$LOGIN\r\n" + close + b"\r\n",
        "host of 50 kB": b"GET /api/jobs HTTP/1.1\r\nHost: " + b"a" * 50_000 + b"\r\n$LOGIN\r\n" + close + b"\r\n",
        "http 1.0": b"GET /api/jobs HTTP/1.0\r\n$LOGIN\r\n\r\n",
        "http 0.9": b"GET /\r\n\r\n",
        "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "http 9": b"GET / HTTP/9.9\r\n\r\n",
        "tls": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 500 + b"\r\n\r\n",
        "a method of nothing": b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "an odd method": b"BREW /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\n" + close + b"\r\n",
        "trace": b"TRACE /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\n" + close + b"\r\n",
        "connect": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\n" + close + b"\r\n",
        "a star": b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\n" + close + b"\r\n",
        "an address of bytes": b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "an address with a blank": b"GET /a b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "an address of 2 MB": b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "bare line feeds": b"GET /api/jobs HTTP/1.1\nHost: 127.0.0.1\n\n",
        "negative length": send + close + b"Content-Length: -1\r\n\r\n{}",
        "length of 400 digits": send + close + b"Content-Length: " + DIGITS.encode() + b"\r\n\r\n{}",
        "length of words": send + close + b"Content-Length: x\r\n\r\n{}",
        "two lengths": send + close + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "length and chunks": send + close + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "chunk size of rubbish": send + close + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
        "chunk extension of 200 kB": send + close + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"a" * 200_000 + b"\r\n{}\r\n0\r\n\r\n",
        "chunks of one byte": send + close + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000 + b"0\r\n\r\n",
        "unknown encoding": send + close + b"Transfer-Encoding: rot13\r\n\r\n{}",
        "more than the length": send + close + b"Content-Length: 2\r\n\r\n{}" + b"GET /api/assets HTTP/1.1\r\n\r\n" * 50,
        "a request within a request": send + b"Content-Length: %d\r\n\r\n" % len(inner) + inner,
        "five hundred in a row": (head + b"\r\n") * 500 + head + close + b"\r\n",
        "expects to go on": send + close + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        "expects the impossible": send + close + b"Expect: 417\r\nContent-Length: 2\r\n\r\n{}",
        "ten thousand ranges": b"GET /theme/studio.css HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nRange: bytes=" + b",".join(b"%d-" % n for n in range(10_000)) + b"\r\n" + close + b"\r\n",
        "a range of 400 digits": head.replace(b"/api/jobs", b"/theme/studio.css") + close + b"Range: bytes=" + DIGITS.encode() + b"-\r\n\r\n",
        "a range backwards": head.replace(b"/api/jobs", b"/theme/studio.css") + close + b"Range: bytes=9-1,-0,--5\r\n\r\n",
        "websocket to the page": head.replace(b"/api/jobs", b"/") + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "websocket to gradio": head.replace(b"/api/jobs", b"/gradio_api/queue/join") + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "websocket with a foreign origin": head + b"Origin: https://evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "websocket without a key": head + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "websocket, then rubbish": head + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" * 100,
        "upgrade to h2c": head + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        "accepts everything": head + close + b"Accept: " + b"*/*;q=0.1, " * 8000 + b"a/b\r\n\r\n",
        "languages": head + close + b"Accept-Language: " + b"aa-BB;q=0.1, " * 4000 + b"en\r\n\r\n",
        "content type of 50 kB": send + close + b"Content-Length: 2\r\nX-Y: z\r\nContent-Type: " + b"a/b;" * 12_000 + b"\r\n\r\n{}",
    }  # fmt: skip
    made: Asks = {name: (lambda house, things, name=name, data=data: house.raw(data, name, login=True)) for name, data in whole.items()}  # type: ignore[misc]  # fmt: skip
    return made


HALF = {
    "nothing at all": b"",
    "half a method": b"GE",
    "half a head": b"GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half a json body": b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    "half an upload": b'POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9999\r\n\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nabc',
    "half a chunk": b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    "a chunk of 2^64": b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    "half a login": b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\nusername=a",
    "half a gradio upload": b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9999\r\n\r\n--x",
    "half a gradio join": b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\n$LOGIN\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
}  # fmt: skip
