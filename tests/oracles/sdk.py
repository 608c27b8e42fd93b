"""The providers' SDKs for Python, as judges on a pipe: one JSON line in, one out.

{"id", "name", "key", "request": {"method", "url", "headers": [[name, value]], "body": base64}} is answered with
{"id", "ok": bool, "why"}; with "at" (seconds) in place of a signed request also "headers", where the SDK signs.
`name` is a key of VERIFY or SIGN. Nothing here computes a signature by itself.
"""

import base64
import json
import os
import sys
import urllib.parse

# What SDKs print must not end up between our lines.
answers, sys.stdout = sys.stdout, sys.stderr

import django
from django.conf import settings

settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="of-nobody", DEFAULT_CHARSET="utf-8", ANYMAIL={})
django.setup()

import Adyen.util
import discord_interactions
import gidgethub.sansio
import pyairtable.models
import slack_sdk.signature
import standardwebhooks
import stripe
import svix
import twilio.request_validator
from anymail.webhooks.mailgun import MailgunTrackingWebhookView
from anymail.webhooks.mandrill import MandrillCombinedWebhookView
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from django.test import RequestFactory


class Request:
    """One request, as the provider sent it or as it arrived at the app."""

    def __init__(self, told):
        self.method, self.url = told["method"], told["url"]
        self.headers = {name.lower(): value for name, value in told["headers"]}
        self.body = base64.b64decode(told["body"])
        self.text = self.body.decode("utf-8", "surrogateescape")
        self.type = self.headers.get("content-type", "")

    def form(self):
        return urllib.parse.parse_qs(self.text, keep_blank_values=True)

    def django(self):
        url = urllib.parse.urlsplit(self.url)
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        fields |= {"HTTP_HOST": url.netloc, "QUERY_STRING": url.query}
        return RequestFactory().generic(self.method, url.path, self.body, self.type, url.scheme == "https", **fields)


def adyen_items(r, key):
    items = json.loads(r.text)["notificationItems"]
    return all(Adyen.util.is_valid_hmac_notification({"notificationItems": [item]}, key) for item in items)


def standard(webhook):
    """Both raise where they refuse; one of them returns nothing where it accepts."""

    def verify(r, key):
        webhook(key).verify(r.text, r.headers)
        return True

    return verify


def twilio_form(r, key):
    form = {name: found if len(found) > 1 else found[0] for name, found in r.form().items()}
    return twilio.request_validator.RequestValidator(key).validate(r.url, form, r.headers["x-twilio-signature"])


def twilio_json(r, key):
    return twilio.request_validator.RequestValidator(key).validate(r.url, r.text, r.headers["x-twilio-signature"])


def anymail(view, **settings_of):
    """A view of anymail raises where a request is not the provider's."""

    def verify(r, key):
        view(**{name: value(key) for name, value in settings_of.items()}).validate_request(r.django())
        return True

    return verify


VERIFY = {
    "adyen": adyen_items,
    "adyen_platform": lambda r, key: Adyen.util.is_valid_hmac_payload(r.headers["hmacsignature"], key, r.body),
    "airtable": lambda r, key: bool(
        pyairtable.models.WebhookNotification.from_request(r.text, r.headers["x-airtable-content-mac"], key)
    ),
    "discord": lambda r, key: discord_interactions.verify_key(
        r.body, r.headers["x-signature-ed25519"], r.headers["x-signature-timestamp"], key
    ),
    "github": lambda r, key: bool(gidgethub.sansio.Event.from_http(r.headers, r.body, secret=key)),
    "mailgun": anymail(MailgunTrackingWebhookView, webhook_signing_key=lambda key: key),
    "mandrill": anymail(MandrillCombinedWebhookView, webhook_key=lambda key: key),
    "postmark": anymail(PostmarkTrackingWebhookView, basic_auth=lambda key: [key]),
    "slack": lambda r, key: slack_sdk.signature.SignatureVerifier(key).is_valid_request(r.body, r.headers),
    "standardwebhooks": standard(standardwebhooks.Webhook),
    "stripe": lambda r, key: bool(stripe.Webhook.construct_event(r.body, r.headers["stripe-signature"], key)),
    "svix": standard(svix.Webhook),
    "twilio": twilio_form,
    "twilio_json": twilio_json,
}


def sign_slack(r, key, at):
    signer = slack_sdk.signature.SignatureVerifier(key)
    signature = signer.generate_signature(timestamp=str(at), body=r.body)
    return [["X-Slack-Request-Timestamp", str(at)], ["X-Slack-Signature", signature]]


SIGN = {"slack": sign_slack}


def answer(asked):
    r = Request(asked["request"])
    if "at" in asked:
        return {"ok": True, "headers": SIGN[asked["name"]](r, asked["key"], asked["at"])}
    return {"ok": bool(VERIFY[asked["name"]](r, asked["key"]))}


def main():
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told = answer(asked)
        except Exception as error:
            told = {"ok": False, "why": " ".join(f"{type(error).__name__} {error}".split())[:300]}
        answers.write(json.dumps({"id": asked["id"], **told}) + "\n")
        answers.flush()
    # Threads of SDKs must not outlive the pipe.
    os._exit(0)


main()
