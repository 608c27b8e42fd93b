"""Sender: Python's http.client, with header lines and request targets exactly as given."""

import gzip
import http.client
import json
import ssl
import urllib.parse

from check import (
    ANSWER_S, AT_LIMIT, CA, EVERY_BYTE, INGRESSES, PROVIDERS, event, flipped, foreign, holds, promise, same, saw_body,
    seen_by_app, signed, values,
)


def connect(base):
    """A connection to the ingress, which must prove itself if it speaks TLS."""
    url = urllib.parse.urlsplit(base)
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=CA)
        return http.client.HTTPSConnection(url.hostname, url.port, timeout=ANSWER_S, context=context)
    return http.client.HTTPConnection(url.hostname, url.port, timeout=ANSWER_S)


def send(base, target, fields=(), body=None, pieces=None, method="POST", connection=None):
    """Sends exactly these header lines after Host; `pieces` go out chunked. Gives answer and body."""
    own = connection or connect(base)
    own.putrequest(method, urllib.parse.urlsplit(base).path + target, skip_host=True, skip_accept_encoding=True)
    own.putheader("Host", urllib.parse.urlsplit(base).netloc)
    for name, value in fields:
        own.putheader(name, value)
    if body is not None:
        own.putheader("Content-Length", str(len(body)))
    if pieces is not None:
        own.putheader("Transfer-Encoding", "chunked")
    try:
        own.endheaders(pieces if pieces is not None else body, encode_chunked=pieces is not None)
    except (BrokenPipeError, ssl.SSLEOFError):
        # An early answer and a close: it is there to be read all the same (urllib3, and so requests, does this, too).
        pass
    answer = own.getresponse()
    got = answer.read()
    if connection is None:
        own.close()
    return answer, got


def echo(*args, **named):
    """What the app saw of a request to /echo."""
    answer, body = send(*args, **named)
    holds(answer.status == 200, (answer.status, body))
    seen = json.loads(body)
    seen["rawHeaders"] = [tuple(pair) for pair in seen["rawHeaders"]]
    return seen


def check(word, base):
    where = f"({word}, http.client)"

    for name in PROVIDERS:
        body = event(name)
        fields = signed(name, body)
        with promise(f"a {name} event verifies after the relay {where}"):
            answer, got = send(base, f"/{name}", fields, body)
            same((answer.status, json.loads(got)), (200, {"verified": True}))
        with promise(f"a {name} event sent in chunks verifies {where}"):
            pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
            answer, got = send(base, f"/{name}", fields, pieces=pieces)
            same((answer.status, json.loads(got)), (200, {"verified": True}))
        with promise(f"a {name} event with one flipped bit does not verify {where}"):
            answer, got = send(base, f"/{name}", fields, flipped(body))
            same((answer.status, json.loads(got)["verified"]), (400, False))

    with promise(f"header fields arrive in order, with repeats, case and bytes {where}"):
        fields = [
            (b"X-Multi", b"one"), (b"x-other", b"inner  space"), (b"X-MULTI", b"two"), (b"X-Empty", b""),
            (b"X-Utf8", "é–🥐".encode()), (b"X-Bytes", bytes(range(0x80, 0x100))), (b"X-Tab", b"a\tb"),
            (b"Cookie", b"a=1"), (b"Cookie", b"b=2"), (b"X-Multi", b"three"), (b"Content-Type", b'a/b; c="d\\"e"'),
        ]
        seen = echo(base, "/echo", fields, EVERY_BYTE)
        expected = [(name.decode(), value.decode("latin-1")) for name, value in fields]
        same(foreign(seen["rawHeaders"]), [*expected, ("Content-Length", "256")])

    with promise(f"the same field 200 times stays 200 fields in order {where}"):
        fields = [("X-Many", str(n)) for n in range(200)]
        same(values(echo(base, "/echo", fields, b"x")["rawHeaders"], "x-many"), [str(n) for n in range(200)])

    targets = [
        "/echo?a=1&a=2&b=%20+&&=?x&c[]=", "/echo?%zz&%&%2&%%&%C3%A9&%ff&%00", "/echo?", "/echo??x?",
        "/echo?|\"^<>`{}\\;,@:!$'()*", "/echo//a/./b/../%2e%2e/%2F;p=1?x", "/echo?long=" + "%41" * 2000,
    ]
    for target in targets:
        with promise(f"the request target {target[:40]} arrives as it is {where}"):
            same(echo(base, target, method="GET")["url"], target)

    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]:
        with promise(f"{method} stays {method}, with its body {where}"):
            seen = echo(base, "/echo", body=EVERY_BYTE, method=method)
            same(seen["method"], method)
            saw_body(seen, EVERY_BYTE)

    with promise(f"HEAD gets the answer's head and no body {where}"):
        answer, got = send(base, "/answer", method="HEAD")
        same((answer.status, got, answer.getheader("Content-Length")), (203, b"", "4"))

    for what, body in [("every byte value", EVERY_BYTE), ("no byte at all", b""), ("25 MiB", AT_LIMIT)]:
        with promise(f"a body of {what} arrives {where}"):
            saw_body(echo(base, "/echo", body=body), body)
        with promise(f"a body of {what} arrives in chunks {where}"):
            pieces = [body[at : at + 100_000] for at in range(0, len(body), 100_000)]
            seen = echo(base, "/echo", pieces=pieces)
            saw_body(seen, body)
            same(values(seen["rawHeaders"], "transfer-encoding"), ["chunked"])

    with promise(f"a body one byte over the limit is refused with 413 before the app hears of it {where}"):
        answer, got = send(base, f"/echo?over=http_client_{word}", [], AT_LIMIT + b"x")
        same((answer.status, answer.getheader("Relay-Error")), (413, "body_too_large"))
        same(seen_by_app(f"over=http_client_{word}"), [])

    with promise(f"a compressed body stays compressed, both ways {where}"):
        body = gzip.compress(EVERY_BYTE * 100)
        fields = [("Content-Encoding", "gzip"), ("Content-Type", "text/plain"), ("Accept-Encoding", "gzip")]
        answer, got = send(base, "/mirror", fields, body)
        same((answer.status, answer.getheader("Content-Encoding"), got == body), (200, "gzip", True))

    with promise(f"the answer's head comes back letter for letter {where}"):
        answer, got = send(base, "/answer", method="GET")
        same((answer.status, answer.reason, got), (203, "Said Letter For Letter", b"said"))
        expected = [
            ("X-One", "1"), ("Set-Cookie", "a=1; Path=/"), ("x-two", "caf\xe9 \xff"),
            ("SET-COOKIE", "b=2; HttpOnly"), ("Content-Length", "4"),
        ]
        same(answer.getheaders()[:5], expected)

    with promise(f"an answer of a chunked body without a byte comes to its end {where}"):
        answer, got = send(base, "/nothing")
        same((answer.status, got), (200, b""))

    with promise(f"a connection serves one request after the other {where}"):
        kept = connect(base)
        for n in range(50):
            answer, got = send(base, "/mirror", [], b"%d" % n, connection=kept)
            same((answer.status, got), (200, b"%d" % n))
        kept.close()


for word, base in INGRESSES.items():
    check(word, base)
