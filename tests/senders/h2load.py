"""Sender: h2load of nghttp2, with many connections and streams at once."""

import re
import subprocess

from check import CA, INGRESSES, PROVIDERS, WORK, event, holds, promise, same, seen_by_app, signed

# Below the 256 requests one agent has on their way at once by default; more would rightly get 503.
CONNECTIONS, STREAMS = 4, 50
REQUESTS = 1_000
RUN_S = 30

WAYS = [
    ("plain, h2load h2c", INGRESSES["plain"], ["-m", str(STREAMS)], "h2c"),
    ("plain, h2load HTTP/1.1", INGRESSES["plain"], ["--h1"], "http/1.1"),
    ("tls, h2load HTTP/2", INGRESSES["tls"], ["-m", str(STREAMS)], "h2"),
    ("tls, h2load HTTP/1.1", INGRESSES["tls"], ["--h1"], "http/1.1"),
]


def load(url, fields, path, options, protocol):
    """Every one of the requests is answered with 2xx, over the protocol asked for."""
    heads = [option for name, value in fields for option in ("-H", f"{name}: {value}")]
    command = ["h2load", "-n", str(REQUESTS), "-c", str(CONNECTIONS), *options, *heads, "-d", path, url]
    ran = subprocess.run(command, capture_output=True, timeout=RUN_S, check=False)
    said = ran.stdout.decode()
    same(ran.returncode, 0)
    holds(f"Application protocol: {protocol}" in said, said)
    [requests] = re.findall(r"^requests: (.*)$", said, re.MULTILINE)
    [statuses] = re.findall(r"^status codes: (.*)$", said, re.MULTILINE)
    n = REQUESTS
    same(requests, f"{n} total, {n} started, {n} done, {n} succeeded, 0 failed, 0 errored, 0 timeout")
    same(statuses, f"{n} 2xx, 0 3xx, 0 4xx, 0 5xx")


for number, (word, base, options, protocol) in enumerate(WAYS):
    name = PROVIDERS[number % len(PROVIDERS)]
    body = event(name)
    path = f"{WORK}/load"
    with open(path, "wb") as file:
        file.write(body)
    with promise(f"{REQUESTS} {name} events all verify, none lost or doubled ({word})"):
        load(f"{base}/{name}?load={number}", signed(name, body), path, options, protocol)
        seen = seen_by_app(f"load={number}")
        same(len(seen), REQUESTS)
        holds(all(record["verified"] for record in seen), "an event that does not verify")
