"""Promises as lines: `ok  PROMISE`, or `FAIL  PROMISE: what was found instead`. For the senders in Python."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import urllib.request

# What the relay accepts by default, in bytes.
BODY_BYTES_MAX = 25 * 1024 * 1024

# One answer may take so long; a debug build moves 25 MiB in two seconds.
ANSWER_S = 8

APP, CA, WORK = os.environ["APP"], os.environ["CA"], os.environ["WORK"]

# Where senders send to: each is called by the word its promises carry.
INGRESSES = {"plain": os.environ["PLAIN"], "tls": os.environ["TLS"]}

PROVIDERS = ["github", "stripe", "standard"]
EVERY_BYTE = bytes(range(256))
AT_LIMIT = EVERY_BYTE * (BODY_BYTES_MAX // 256)

# What the relay puts in place of a sender's own, and what concerns one connection only.
OURS = [
    "host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "relay-event-id", "relay-attempt", "connection",
]


@contextlib.contextmanager
def promise(text):
    """Says in one line whether the promise, which is the block's to check, holds."""
    try:
        yield
    except Exception as error:
        why = " ".join(f"{type(error).__name__} {error}".split())[:1000]
        print(f"FAIL  {text}: {why}", flush=True)
    else:
        print(f"ok  {text}", flush=True)


def same(found, expected):
    """`assert found == expected` that shows both, and works under -O."""
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def holds(claim, found):
    """`assert claim` that shows what was found."""
    if not claim:
        raise AssertionError(f"found {found!r}")


def foreign(pairs):
    """Header pairs of which nothing but a sender's own are left."""
    return [(name, value) for name, value in pairs if name.lower() not in OURS]


def values(pairs, name):
    """All values of one field, in order."""
    return [value for n, value in pairs if n.lower() == name]


def saw_body(seen, body):
    """The app saw `body`, all of it and nothing else."""
    same((seen["length"], seen["sha256"]), (len(body), hashlib.sha256(body).hexdigest()))


def seen_by_app(text):
    """What the app, asked directly, saw of requests whose URL holds `text`."""
    with urllib.request.urlopen(f"{APP}/seen?{text}", timeout=ANSWER_S) as answer:
        return json.load(answer)


def event(name):
    """A provider's example event."""
    here = os.path.dirname(os.path.abspath(__file__))
    if name != "github":
        with open(f"{here}/events/{name}.json", "rb") as file:
            return file.read()
    with open(f"{here}/node_modules/@octokit/webhooks-examples/api.github.com/index.json", encoding="utf-8") as file:
        push = next(group for group in json.load(file) if group["name"] == "push")
    return json.dumps(push["examples"][0], ensure_ascii=False).encode()


def signed(name, body):
    """Header pairs the provider's own SDK made for `body`."""
    path = f"{WORK}/to-sign"
    with open(path, "wb") as file:
        file.write(body)
    program = f"{os.path.dirname(os.path.abspath(__file__))}/providers.mjs"
    ran = subprocess.run(["node", program, name, path], capture_output=True, timeout=ANSWER_S, check=False)
    if ran.returncode != 0:
        sys.exit(f"{name} cannot sign: {ran.stderr.decode()}")
    return [tuple(line.split(": ", 1)) for line in ran.stdout.decode().splitlines()]


def flipped(body):
    """`body` with one bit of one letter changed."""
    copy = bytearray(body)
    copy[copy.index(b"a")] ^= 1
    return bytes(copy)
