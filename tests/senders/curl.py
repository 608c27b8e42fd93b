"""Sender: curl, over HTTP/1.1 and HTTP/2, without and with TLS."""

import hashlib
import json
import subprocess
import time
from typing import NamedTuple

from check import (
    ANSWER_S, AT_LIMIT, BODY_BYTES_MAX, CA, EVERY_BYTE, INGRESSES, PROVIDERS, WORK, event, flipped, foreign, holds,
    promise, same, saw_body, seen_by_app, signed, values,
)


class Answer(NamedTuple):
    """What curl got; `pairs` are those of the final head, `log` is what it says with --verbose."""

    status: int
    version: str
    pairs: list
    body: bytes
    log: str


class Way(NamedTuple):
    """One way of asking: where, the option that makes curl speak so, and the version it must then report."""

    word: str
    base: str
    option: str
    version: str

    def curl(self, target, *args, stdin=b""):
        """Runs curl on one request of this way."""
        files = ["--dump-header", f"{WORK}/curl.head", "--output", f"{WORK}/curl.body"]
        quiet = ["curl", "-q", "--verbose", "--silent", "--show-error"]
        always = [*quiet, "--max-time", str(ANSWER_S), "--cacert", CA, "--path-as-is"]
        say = ["--write-out", "%{http_code} %{http_version}"]
        for name in ("curl.head", "curl.body"):
            open(f"{WORK}/{name}", "wb").close()
        command = [*always, *files, *say, self.option, *args, self.base + target]
        ran = subprocess.run(command, input=stdin, capture_output=True, timeout=ANSWER_S + 5, check=False)
        log = ran.stderr.decode("latin-1")
        if ran.returncode != 0:
            said = [line for line in log.splitlines() if line.startswith("curl: ")]
            raise AssertionError(f"curl ended with {ran.returncode}: {said}")
        status, version = ran.stdout.decode().split()
        with open(f"{WORK}/curl.head", "rb") as head, open(f"{WORK}/curl.body", "rb") as body:
            last = head.read().decode("latin-1").rstrip("\r\n").split("\r\n\r\n")[-1]
            pairs = [tuple(line.split(": ", 1)) for line in last.split("\r\n")[1:]]
            answer = Answer(int(status), version, pairs, body.read(), log)
        same(answer.version, self.version)
        return answer

    def echo(self, target, *args, stdin=b""):
        """What the app saw of a request to /echo."""
        answer = self.curl(target, *args, stdin=stdin)
        holds(answer.status == 200, answer)
        seen = json.loads(answer.body)
        seen["rawHeaders"] = [tuple(pair) for pair in seen["rawHeaders"]]
        return seen


def file_of(name, body):
    """A file for `--data-binary @file`."""
    path = f"{WORK}/{name}"
    with open(path, "wb") as file:
        file.write(body)
    return path


WAYS = [
    Way("plain, curl HTTP/1.1", INGRESSES["plain"], "--http1.1", "1.1"),
    Way("plain, curl HTTP/2", INGRESSES["plain"], "--http2-prior-knowledge", "2"),
    Way("tls, curl HTTP/1.1", INGRESSES["tls"], "--http1.1", "1.1"),
    Way("tls, curl HTTP/2", INGRESSES["tls"], "--http2", "2"),
]

FILES = [
    ("every byte value", EVERY_BYTE, file_of("every-byte", EVERY_BYTE)),
    ("no byte at all", b"", file_of("empty", b"")),
    ("25 MiB", AT_LIMIT, file_of("at-limit", AT_LIMIT)),
]
OVER_LIMIT = file_of("over-limit", AT_LIMIT + b"x")
SIGNED = [(name, event(name), signed(name, event(name))) for name in PROVIDERS]


def check_events(way):
    for name, body, fields in SIGNED:
        head = file_of("fields", "".join(f"{n}: {v}\n" for n, v in fields).encode())
        good, bad = file_of("event", body), file_of("flipped", flipped(body))
        with promise(f"a {name} event verifies after the relay ({way.word})"):
            answer = way.curl(f"/{name}", "-H", f"@{head}", "--data-binary", f"@{good}")
            same((answer.status, json.loads(answer.body)), (200, {"verified": True}))
        with promise(f"a {name} event with one flipped bit does not verify ({way.word})"):
            answer = way.curl(f"/{name}", "-H", f"@{head}", "--data-binary", f"@{bad}")
            same((answer.status, json.loads(answer.body)["verified"]), (400, False))


def check_bodies(way):
    for what, body, path in FILES:
        with promise(f"a body of {what} arrives ({way.word})"):
            saw_body(way.echo("/echo", "--data-binary", f"@{path}"), body)
        with promise(f"a body of {what} and of unknown length arrives ({way.word})"):
            seen = way.echo("/echo", "-X", "POST", "-T", "-", stdin=body)
            saw_body(seen, body)
            same((seen["method"], values(seen["rawHeaders"], "content-length")), ("POST", []))

    with promise(f"a body of 25 MiB comes back ({way.word})"):
        answer = way.curl("/mirror", "--data-binary", f"@{FILES[2][2]}")
        same((answer.status, len(answer.body)), (200, BODY_BYTES_MAX))
        same(hashlib.sha256(answer.body).digest(), hashlib.sha256(AT_LIMIT).digest())

    tag = f"over=curl_{way.base.split(':')[0]}_{way.version}_said"
    with promise(f"a body one byte over the limit is refused with 413 before the app hears of it ({way.word})"):
        answer = way.curl(f"/echo?{tag}", "--data-binary", f"@{OVER_LIMIT}")
        same((answer.status, values(answer.pairs, "relay-error")), (413, ["body_too_large"]))
        same(seen_by_app(tag), [])

    with promise(f"a sender that is still sending learns that nobody is there ({way.word})"):
        nobody = way._replace(base=way.base.removesuffix("hook") + "nobody")
        answer = nobody.curl("", "-H", "Expect:", "--data-binary", f"@{FILES[2][2]}")
        same((answer.status, values(answer.pairs, "relay-error")), (404, ["source_not_found"]))

    with promise(f"a form with a file arrives with its boundary ({way.word})"):
        answer = way.curl("/mirror", "-F", f"file=@{FILES[0][2]};filename=b\xfcro.bin", "-F", "a=1")
        [kind] = values(answer.pairs, "content-type")
        boundary = kind.removeprefix("multipart/form-data; boundary=").encode()
        holds(answer.body.startswith(b"--" + boundary) and EVERY_BYTE in answer.body, answer)


def check_heads(way):
    with promise(f"repeated and non-UTF-8 header values arrive in order ({way.word})"):
        fields = [b"X-Multi: one", b"X-Other: inner  space", b"X-Multi: two", b"X-Bytes: caf\xe9 \xff\x80",
                  b"X-Empty;", b"X-Multi: three", b"User-Agent:", b"Accept:"]
        options = [option for field in fields for option in (b"-H", field)]
        pairs = foreign(way.echo("/echo", *options, "-H", "Content-Type: a/b", "-d", "x")["rawHeaders"])
        same(values(pairs, "x-multi"), ["one", "two", "three"])
        same(values(pairs, "x-bytes"), ["caf\xe9 \xff\x80"])
        same((values(pairs, "x-other"), values(pairs, "x-empty")), (["inner  space"], [""]))
        names = ["X-Multi", "X-Other", "X-Multi", "X-Bytes", "X-Empty", "X-Multi", "Content-Type", "Content-Length"]
        if way.version == "1.1":
            same([name for name, _ in pairs], names)
        else:
            # Over HTTP/2 names are lower case, and only values of one name have an order.
            same(sorted(name for name, _ in pairs), sorted(name.lower() for name in names))

    target = "/echo//a/./b/../%2e%2e/%2F;p=1?a=1&a=2&b=%20+&&=?x&%zz&%&%2&%C3%A9&%ff|^`{}\\;,@:!$'()*&"
    with promise(f"path and query arrive as they are ({way.word})"):
        same(way.echo(target, "--globoff")["url"], target)

    with promise(f"an empty query stays an empty query ({way.word})"):
        same(way.echo("/echo?")["url"], "/echo?")

    with promise(f"HEAD gets the answer's head and no body ({way.word})"):
        answer = way.curl("/answer", "--head")
        same((answer.status, values(answer.pairs, "content-length")), (203, ["4"]))
        # With --head curl writes the head where the body would go.
        holds(answer.body.endswith(b"\r\n\r\n"), answer.body)

    with promise(f"an answer of a chunked body without a byte comes to its end ({way.word})"):
        answer = way.curl("/nothing")
        same((answer.status, answer.body), (200, b""))

    with promise(f"two Set-Cookie fields and a Latin-1 value of the answer come back ({way.word})"):
        answer = way.curl("/answer")
        same((answer.status, answer.body), (203, b"said"))
        same(values(answer.pairs, "set-cookie"), ["a=1; Path=/", "b=2; HttpOnly"])
        same(values(answer.pairs, "x-two"), ["caf\xe9 \xff"])


def check_http1(way):
    with promise(f"curl waits for 100 Continue and gets it ({way.word})"):
        began = time.monotonic()
        wait = ["-H", "Expect: 100-continue", "--expect100-timeout", "15"]
        saw_body(way.echo("/echo", *wait, "--data-binary", f"@{FILES[0][2]}"), EVERY_BYTE)
        holds(time.monotonic() - began < 10, "the body went out only after the wait for 100 was given up")

    with promise(f"a body over the limit is refused without being asked for ({way.word})"):
        wait = ["-H", "Expect: 100-continue", "--expect100-timeout", "15"]
        answer = way.curl("/echo", *wait, "--data-binary", f"@{OVER_LIMIT}")
        same((answer.status, "100 Continue" in answer.log), (413, False))

    # Over HTTP/2 this is node_http2's: curl 7.88 cannot be relied on there, it hangs after an answer that comes while
    # it reads from a pipe.
    tag = f"over=curl_{way.base.split(':')[0]}_grown"
    with promise(f"a body that grows over the limit is refused with 413 and never whole for the app ({way.word})"):
        answer = way.curl(f"/echo?{tag}", "-X", "POST", "-T", "-", stdin=AT_LIMIT + b"x")
        same((answer.status, values(answer.pairs, "relay-error")), (413, ["body_too_large"]))
        same([seen for seen in seen_by_app(tag) if seen["whole"]], [])


def check_upgrade():
    way = Way("plain, curl offering h2c", INGRESSES["plain"], "--http2", "1.1")
    with promise(f"the offer is passed over and not forwarded ({way.word})"):
        seen = way.echo("/echo", "--data-binary", f"@{FILES[0][2]}")
        saw_body(seen, EVERY_BYTE)
        same([n for n, _ in seen["rawHeaders"] if n.lower() in ("upgrade", "http2-settings", "connection")], [])


for way in WAYS:
    check_events(way)
    check_bodies(way)
    check_heads(way)
    if way.version == "1.1":
        check_http1(way)
check_upgrade()
