// Providers and their own SDKs, one table. Behind the relay and without it, these are the judges: an entry says what
// the provider sends, how it is signed (by the SDK where it signs, otherwise by a few lines here, written from the
// provider's documentation and none of ours), and asks the SDK whether it accepts.
//
// An entry:
//   name            slug of its source
//   provider        the relay's name of the provider; `name` unless said
//   secret, params  what a person gives the relay: the text as the provider shows it
//   key             what is signed with, where that is not the secret
//   wrong           another one of the same kind, which nobody was given
//   headers, body   what is sent, unsigned; `query` is added to the URL
//   sign            (request, at, key) => header fields, or { headers, body, url } where it signs inside these
//   verify          { package: (request, secret) => whether it accepts }; throwing is refusing. All must agree
//   python          name in sdk.py of a judge in Python, in addition or alone
//   cover           the word in the body one bit of which is changed, or (request) => changed request
//   signature       header fields the signature, or the secret, is in
//   time            (request) => the time it carries, in ms; `time.field` is the header field it is in
//   relay_s         how old it may be for the relay; app_s: for the SDK. Absent: as old as it likes
//   resign          whether the relay can sign it again
//   keys            () => { url: PEM } of what a verifier has to fetch

import { createHash, createSign, generateKeyPairSync, randomUUID, sign as signRaw } from "node:crypto";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { hmacValidator as hmacValidators } from "@adyen/api-library";
import { verifyWebhook } from "@clerk/backend/webhooks";
import * as contentful from "@contentful/node-apps-toolkit";
import * as hubspot from "@hubspot/api-client";
import { validateSignature } from "@line/bot-sdk";
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import Mux from "@mux/mux-node";
import { signWebhookPayload, verifyWebhookSignature } from "@notionhq/client";
import * as octokit from "@octokit/webhooks-methods";
import { Environment as PaddleEnvironment, Paddle } from "@paddle/paddle-node-sdk";
import { encodeSignatureHeader, isValidSignature } from "@sanity/webhook";
import { EventWebhook } from "@sendgrid/eventwebhook";
import "@shopify/shopify-api/adapters/node";
import { ApiVersion, LogSeverity, shopifyApi } from "@shopify/shopify-api";
import bolt from "@slack/bolt";
import { WorkOS } from "@workos-inc/node";
import { AwsLambdaReceiver } from "@zoom/rivet/meetings";
import braintree from "braintree";
import coinbase from "coinbase-commerce-node";
import { verifyKey } from "discord-interactions";
import * as gocardless from "gocardless-nodejs";
import { Bot, webhookCallback } from "grammy";
import jsonwebtoken from "jsonwebtoken";
import OpenAI from "openai";
import Razorpay from "razorpay";
import { Resend } from "resend";
import SnsValidator from "sns-validator";
import { WebhooksHelper } from "square";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";
import { WhatsAppAPI } from "whatsapp-api-js";
import XHubSignature from "x-hub-signature";
import * as python from "./python.mjs";
import { field, flipped, form, hmac, plain, seconds, text, withField } from "./request.mjs";

const require = createRequire(import.meta.url);
const twilioSigner = require("twilio/lib/webhooks/webhooks");

// Rivet writes every event it verifies to the console.
console.debug = () => {};

// --- what is sent ------------------------------------------------------------------------------------

const JSON_TYPE = ["Content-Type", "application/json"];
const FORM_TYPE = ["Content-Type", "application/x-www-form-urlencoded"];

/** JSON that does not survive being read and written again; "amber" is the word that gets changed. */
const json = (members) =>
  Buffer.from(
    `{ "note":"amber Bj\\u00f6rk Ærøskøbing 🧊 \\/ <b>",\t"big":12345678901234567890,"one":1.0,${members}}\n`,
  );

/** JSON as the SDKs of some providers write it again before they verify. */
const compact = (value) => Buffer.from(JSON.stringify(value));

/** JSON as providers send it that write everything beyond ASCII as escapes. */
const ascii = (bytes) =>
  Buffer.from(
    bytes.toString().replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );

const formBody = (fields) => Buffer.from(new URLSearchParams(fields).toString());

// --- how it is signed --------------------------------------------------------------------------------

/** One field with an HMAC over the body. */
const overBody = (name, { alg = "sha256", enc = "hex", prefix = "" } = {}) => ({
  sign: ({ body }, _, key) => [[name, prefix + hmac(alg, key, enc, body)]],
  signature: [name],
  resign: true,
});

/** One field `t=…,v1=…` with an HMAC over time and body. */
const stamped = (name, { unit = 1, comma = "," } = {}) => ({
  sign({ body }, at, key) {
    const t = Math.floor(at / unit);
    return [[name, `t=${t}${comma}v1=${hmac("sha256", key, "hex", `${t}.`, body)}`]];
  },
  signature: [name],
  time: inField(name, /t=(\d+)/, unit),
  resign: true,
});

function inField(name, pattern, unit) {
  const time = (request) => Number(pattern.exec(field(request, name))[1]) * unit;
  return Object.assign(time, { field: name.toLowerCase() });
}

/** Three fields by Standard Webhooks; `prefix` is `webhook` or `svix`, `signer` a class that signs. */
const standard = (signer, prefix = "webhook", options = undefined) => ({
  sign(request, at, key) {
    const id = field(request, `${prefix}-id`) ?? `msg_${randomUUID().replaceAll("-", "")}`;
    const signature = new signer(key, options).sign(id, new Date(at), text(request));
    return [
      [`${prefix}-id`, id],
      [`${prefix}-timestamp`, seconds(at)],
      [`${prefix}-signature`, signature],
    ];
  },
  signature: [`${prefix}-signature`],
  time: inField(`${prefix}-timestamp`, /^(\d+)$/, 1000),
  relay_s: 300,
  app_s: 300,
  resign: true,
});

const STANDARD_SECRET = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  wrong: "whsec_YW5vdGhlci0yNC1ieXRlLXNlY3JldCEh",
};

const hubSignature = (alg) => ({
  sign: (request, _, key) => [["X-Hub-Signature", new XHubSignature(alg, key).sign(request.body)]],
  signature: ["x-hub-signature"],
  resign: true,
  verify: {
    "x-hub-signature": (request, secret) =>
      new XHubSignature(alg, secret).verify(field(request, "x-hub-signature"), request.body),
  },
});

/** Changes the value of a header field in place of the body, which such a scheme does not cover. */
const changeField = (name, word) => (request) =>
  withField(request, name, flipped(Buffer.from(field(request, name)), word).toString());

// --- keys of this run --------------------------------------------------------------------------------

const raw = (key) => key.export({ format: "der", type: "spki" });
const discordKeys = generateKeyPairSync("ed25519");
const sendgridKeys = generateKeyPairSync("ec", { namedCurve: "P-256" });

const SNS_CERTIFICATE = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-of-nobody.pem";

// sns-validator fetches certificates: it gets ours, and nothing is fetched.
require("node:https").get = (url, tell) => {
  const answer = Object.assign(Readable.from([Buffer.from(snsKeys().certificate)]), {
    statusCode: url === SNS_CERTIFICATE ? 200 : 404,
  });
  tell(answer);
  return answer;
};

/** A key and a certificate of nobody, made by openssl once. */
let sns;
function snsKeys() {
  if (!sns) {
    const folder = mkdtempSync(join(tmpdir(), "oracles-"));
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const options = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sns.amazonaws.com"];
    execFileSync("openssl", [...options, "-keyout", key, "-out", certificate], { stdio: "ignore", timeout: 20_000 });
    sns = { key: readFileSync(key), certificate: readFileSync(certificate, "utf8") };
    rmSync(folder, { recursive: true });
  }
  return sns;
}

// --- SDKs that are objects ---------------------------------------------------------------------------

const stripe = new Stripe("sk_test_of_nobody");
const mux = new Mux({ tokenId: "of", tokenSecret: "nobody" });
const workos = new WorkOS("sk_of_nobody");
const openai = new OpenAI({ apiKey: "of-nobody" });
const resend = new Resend("re_of_nobody");
const paddle = new Paddle("pdl_of_nobody", { environment: PaddleEnvironment.sandbox });
const adyen = new hmacValidators();
const shopify = shopifyApi({
  apiKey: "of-nobody",
  apiSecretKey: "hush",
  hostName: "app.example.com",
  apiVersion: ApiVersion.July25 ?? Object.values(ApiVersion).at(-2),
  isEmbeddedApp: false,
  logger: { level: LogSeverity.Error },
});
const gateway = (privateKey, publicKey = "integration_public_key") =>
  new braintree.BraintreeGateway({
    environment: braintree.Environment.Sandbox,
    merchantId: "of_nobody",
    publicKey,
    privateKey,
  });

const ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
const TWILIO_FIELDS = {
  Body: "amber & 100 % ÆØ",
  From: "+14155550123",
  MessageSid: "SM00000000000000000000000000000001",
};

/** The form a URL-signing HubSpot signs: these escapes are undone, and no others. */
const hubspotUrl = (url) =>
  url.replace(/%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, (escape) => decodeURIComponent(escape));

const target = (url) => url.slice(url.indexOf("/", "https://".length));

async function shopifyAccepts(request) {
  const [rawBody, rawRequest] = [
    text(request),
    { method: request.method, url: target(request.url), headers: plain(request) },
  ];
  return (await shopify.webhooks.validate({ rawBody, rawRequest, rawResponse: {} })).valid;
}

// --- the table ---------------------------------------------------------------------------------------

const entries = [
  // HMAC over the body
  {
    name: "github",
    secret: "It's a Secret to Everybody",
    headers: [
      JSON_TYPE,
      ["X-GitHub-Event", "push"],
      ["X-GitHub-Delivery", () => randomUUID()],
      ["X-GitHub-Hook-ID", "292430182"],
    ],
    body: json(`"ref":"refs/heads/main"`),
    sign: async (request, _, key) => [["X-Hub-Signature-256", await octokit.sign(key, text(request))]],
    signature: ["x-hub-signature-256"],
    resign: true,
    verify: {
      "@octokit/webhooks-methods": (r, secret) => octokit.verify(secret, text(r), field(r, "x-hub-signature-256")),
    },
    python: "github",
  },
  {
    name: "meta",
    secret: "app-secret",
    body: ascii(
      json(
        `"object":"whatsapp_business_account","entry":[{"id":"0","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"1"},"contacts":[],"messages":[{"from":"1","id":"wamid.1","type":"text","text":{"body":"hi"}}]}}]}]`,
      ),
    ),
    ...overBody("X-Hub-Signature-256", { prefix: "sha256=" }),
    verify: {
      "x-hub-signature": (r, secret) =>
        new XHubSignature("sha256", secret).verify(field(r, "x-hub-signature-256"), r.body),
      async "whatsapp-api-js"(r, secret) {
        const whatsapp = new WhatsAppAPI({ token: "of-nobody", appSecret: secret, v: "v23.0" });
        await whatsapp.post(JSON.parse(text(r)), text(r), field(r, "x-hub-signature-256"));
        return true;
      },
    },
  },
  {
    name: "bitbucket",
    secret: "bbsecret",
    headers: [JSON_TYPE, ["X-Event-Key", "repo:push"], ["X-Hook-UUID", "{h}"], ["X-Request-UUID", () => randomUUID()]],
    body: json(`"push":{"changes":[]}`),
    ...hubSignature("sha256"),
  },
  {
    name: "jira",
    secret: "jira-secret",
    headers: [JSON_TYPE, ["X-Atlassian-Webhook-Identifier", () => randomUUID()]],
    body: json(`"webhookEvent":"jira:issue_created"`),
    ...hubSignature("sha256"),
  },
  {
    name: "intercom",
    secret: "ics",
    body: json(`"type":"notification_event","topic":"conversation.user.created","id":"notif_1"`),
    ...hubSignature("sha1"),
  },
  {
    name: "notion",
    secret: "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl",
    wrong: "secret_of_somebody_else",
    body: json(`"id":"367cba44-b6f3-4c92-81e7-6a2e9659efd4","type":"page.created","attempt_number":1`),
    sign: async (r, _, key) => [
      ["X-Notion-Signature", await signWebhookPayload({ body: r.body, verificationToken: key })],
    ],
    signature: ["x-notion-signature"],
    resign: true,
    verify: {
      "@notionhq/client": (r, secret) =>
        verifyWebhookSignature({ body: r.body, signature: field(r, "x-notion-signature"), verificationToken: secret }),
    },
  },
  {
    name: "linear",
    secret: "lin_wh_x",
    headers: [JSON_TYPE, ["Linear-Delivery", () => randomUUID()], ["Linear-Event", "Issue"]],
    // The time is in the body, so nobody but Linear can move it.
    body: (at) => json(`"action":"create","type":"Issue","data":{"id":"1"},"webhookTimestamp":${at}`),
    ...overBody("Linear-Signature"),
    time: (request) => JSON.parse(text(request)).webhookTimestamp,
    relay_s: 60,
    app_s: 60,
    resign: false,
    verify: {
      "@linear/sdk": (r, secret) => new LinearWebhookClient(secret).verify(r.body, field(r, "linear-signature")),
    },
  },
  {
    name: "coinbase-commerce",
    provider: "coinbase_commerce",
    secret: "ccs",
    body: json(`"attempt_number":1,"event":{"id":"24934862-d980-46cb-9402-43c81b0cdba6","type":"charge:created"}`),
    sign: (r, _, key) => [["X-CC-Webhook-Signature", coinbase.Webhook.computeSignature(text(r), key)]],
    signature: ["x-cc-webhook-signature"],
    resign: true,
    verify: {
      "coinbase-commerce-node": (r, secret) =>
        Boolean(coinbase.Webhook.verifyEventBody(text(r), field(r, "x-cc-webhook-signature"), secret)),
    },
  },
  {
    name: "gocardless",
    secret: "gcs",
    body: json(`"events":[{"id":"EV1","resource_type":"payments","action":"confirmed"}],"meta":{"webhook_id":"WB1"}`),
    ...overBody("Webhook-Signature"),
    verify: {
      "gocardless-nodejs": (r, secret) => gocardless.parse(text(r), secret, field(r, "webhook-signature")).length === 1,
    },
  },
  {
    name: "razorpay",
    secret: "rzs",
    headers: [JSON_TYPE, ["x-razorpay-event-id", () => randomUUID()]],
    body: json(`"entity":"event","event":"payment.captured"`),
    ...overBody("X-Razorpay-Signature"),
    verify: {
      razorpay: (r, secret) => Razorpay.validateWebhookSignature(text(r), field(r, "x-razorpay-signature"), secret),
    },
  },
  {
    name: "airtable",
    secret: "YWlydGFibGUtbWFjLXNlY3JldC0zMi1ieXRlcy14eCE=",
    wrong: "bm9ib2R5cy1tYWMtc2VjcmV0LW9mLTMyLWJ5dGVzISE=",
    // The SDK takes ASCII only.
    body: compact({ base: { id: "appamber" }, webhook: { id: "ach1" }, timestamp: "2026-03-01T14:00:00.000Z" }),
    sign: (r, _, key) => [
      ["X-Airtable-Content-MAC", `hmac-sha256=${hmac("sha256", Buffer.from(key, "base64"), "hex", r.body)}`],
    ],
    signature: ["x-airtable-content-mac"],
    resign: true,
    python: "airtable",
  },
  {
    name: "shopify",
    secret: "hush",
    headers: [
      JSON_TYPE,
      ["X-Shopify-Topic", "orders/create"],
      ["X-Shopify-Shop-Domain", "x.myshopify.com"],
      ["X-Shopify-API-Version", "2025-07"],
      ["X-Shopify-Webhook-Id", () => randomUUID()],
      ["X-Shopify-Event-Id", () => randomUUID()],
      ["X-Shopify-Triggered-At", () => new Date().toISOString()],
    ],
    body: json(`"id":820982911946154508`),
    ...overBody("X-Shopify-Hmac-Sha256", { enc: "base64" }),
    verify: { "@shopify/shopify-api": shopifyAccepts },
  },
  {
    name: "shopify-events",
    provider: "shopify_events",
    secret: "hush",
    headers: [
      JSON_TYPE,
      ["shopify-topic", "Order"],
      ["shopify-shop-domain", "x.myshopify.com"],
      ["shopify-api-version", "2026-07"],
      ["shopify-webhook-id", () => randomUUID()],
      ["shopify-event-id", () => randomUUID()],
      ["shopify-handle", "orders"],
      ["shopify-action", "create"],
      ["shopify-resource-id", "gid://shopify/Order/1"],
      ["shopify-triggered-at", () => new Date().toISOString()],
    ],
    body: json(`"id":820982911946154508`),
    ...overBody("shopify-hmac-sha256", { enc: "base64" }),
    verify: { "@shopify/shopify-api": shopifyAccepts },
  },
  {
    name: "line",
    secret: "8c570fa6dd201bb328f1c1eac23a96d8",
    headers: [["Content-Type", "application/json; charset=utf-8"]],
    body: json(`"destination":"U1","events":[{"type":"message","webhookEventId":"01FZ74A0TDDPYRVKNK77XKC3ZR"}]`),
    ...overBody("x-line-signature", { enc: "base64" }),
    verify: { "@line/bot-sdk": (r, secret) => validateSignature(r.body, secret, field(r, "x-line-signature")) },
  },
  {
    name: "adyen-platform",
    provider: "adyen_platform",
    secret: ADYEN_KEY,
    wrong: ADYEN_KEY.replace("44", "45"),
    headers: [JSON_TYPE, ["Protocol", "HmacSHA256"]],
    body: json(`"type":"balancePlatform.transfer.created","data":{"id":"T1"},"environment":"test"`),
    sign: (r, _, key) => [["HmacSignature", adyen.calculateHmacSignature(text(r), key)]],
    signature: ["hmacsignature"],
    resign: true,
    verify: {
      "@adyen/api-library": (r, secret) => adyen.validateHMACSignature(secret, field(r, "hmacsignature"), text(r)),
    },
    python: "adyen_platform",
  },

  // HMAC over a time and the body
  {
    name: "stripe",
    secret: "whsec_test_secret",
    wrong: "whsec_nope",
    headers: [["Content-Type", "application/json; charset=utf-8"]],
    body: json(`"id":"evt_1","object":"event","type":"invoice.paid","api_version":"2026-01-28","data":{"object":{}}`),
    ...stamped("Stripe-Signature", { unit: 1000 }),
    sign: (r, at, key) => [
      [
        "Stripe-Signature",
        stripe.webhooks.generateTestHeaderString({ payload: text(r), secret: key, timestamp: Math.floor(at / 1000) }),
      ],
    ],
    relay_s: 300,
    app_s: 300,
    verify: {
      stripe: (r, secret) => Boolean(stripe.webhooks.constructEvent(r.body, field(r, "stripe-signature"), secret)),
    },
    python: "stripe",
  },
  {
    name: "mux",
    secret: "mxs",
    body: json(`"type":"video.asset.ready","id":"3b5a0c8e"`),
    ...stamped("Mux-Signature", { unit: 1000 }),
    relay_s: 300,
    app_s: 300,
    verify: {
      "@mux/mux-node": async (r, secret) =>
        (await mux.webhooks.verifySignature(text(r), plain(r), secret)) === undefined,
    },
  },
  {
    name: "workos",
    secret: "wos",
    body: compact({ id: "event_1", event: "user.created", data: { note: "amber Ærøskøbing" } }),
    ...stamped("WorkOS-Signature", { comma: ", " }),
    relay_s: 180,
    app_s: 180,
    verify: {
      "@workos-inc/node": (r, secret) =>
        workos.webhooks.verifyHeader({ payload: JSON.parse(text(r)), sigHeader: field(r, "workos-signature"), secret }),
    },
  },
  {
    name: "sanity",
    secret: "sas",
    headers: [JSON_TYPE, ["idempotency-key", () => randomUUID()]],
    body: json(`"_id":"drafts.1","_type":"post"`),
    sign: async (r, at, key) => [["sanity-webhook-signature", await encodeSignatureHeader(text(r), at, key)]],
    signature: ["sanity-webhook-signature"],
    time: inField("sanity-webhook-signature", /t=(\d+)/, 1),
    resign: true,
    verify: {
      "@sanity/webhook": (r, secret) => isValidSignature(text(r), field(r, "sanity-webhook-signature"), secret),
    },
  },
  {
    name: "paddle",
    secret: "pdl_ntfset_01gkdqzw7_aaa",
    wrong: "pdl_ntfset_01gkdqzw7_bbb",
    body: json(`"event_id":"evt_1","event_type":"transaction.completed","notification_id":"ntf_1"`),
    sign({ body }, at, key) {
      const ts = seconds(at);
      return [["Paddle-Signature", `ts=${ts};h1=${hmac("sha256", key, "hex", `${ts}:`, body)}`]];
    },
    signature: ["paddle-signature"],
    time: inField("paddle-signature", /ts=(\d+)/, 1000),
    relay_s: 5,
    app_s: 5,
    resign: true,
    verify: {
      "@paddle/paddle-node-sdk": (r, secret) =>
        paddle.webhooks.isSignatureValid(text(r), secret, field(r, "paddle-signature")),
    },
  },
  ...["slack", "slack-command"].map((name) => ({
    name,
    provider: "slack",
    secret: "8f742231b10e8888abcd99yyyzzz85a5",
    headers: [name === "slack" ? JSON_TYPE : FORM_TYPE],
    body:
      name === "slack"
        ? json(
            `"type":"event_callback","event_id":"Ev1","team_id":"T1","api_app_id":"A1","event":{"type":"app_mention","user":"U1","text":"hi","ts":"1.2","channel":"C1"}`,
          )
        : Buffer.from(
            "command=%2Fweather&text=amber+%26+more%20%C3%86&team_id=T1&user_id=U1&channel_id=C1&api_app_id=A1&trigger_id=1.2",
          ),
    sign: (r, at, key) => python.sign("slack", r, key, at),
    signature: ["x-slack-signature"],
    time: inField("x-slack-request-timestamp", /^(\d+)$/, 1000),
    relay_s: 300,
    app_s: 300,
    resign: true,
    verify: {
      "@slack/bolt"(r, secret) {
        const headers = {
          "x-slack-signature": field(r, "x-slack-signature"),
          "x-slack-request-timestamp": Number(field(r, "x-slack-request-timestamp")),
        };
        bolt.verifySlackRequest({ signingSecret: secret, body: text(r), headers });
        return true;
      },
    },
    python: "slack",
  })),
  {
    name: "zoom",
    secret: "zsec",
    // Rivet verifies JSON it has written again.
    body: compact({ event: "meeting.started", event_ts: 1760000000000, payload: { note: "amber Ærøskøbing" } }),
    sign({ body }, at, key) {
      const ts = seconds(at);
      return [
        ["x-zm-request-timestamp", ts],
        ["x-zm-signature", `v0=${hmac("sha256", key, "hex", `v0:${ts}:`, body)}`],
      ];
    },
    signature: ["x-zm-signature"],
    time: inField("x-zm-request-timestamp", /^(\d+)$/, 1000),
    relay_s: 300,
    resign: true,
    verify: {
      async "@zoom/rivet"(r, webhooksSecretToken) {
        const receiver = new AwsLambdaReceiver({ webhooksSecretToken });
        return (
          (await receiver.start()({ headers: plain(r), body: text(r), isBase64Encoded: false }, {})).statusCode === 200
        );
      },
    },
  },
  {
    name: "standard-webhooks",
    provider: "standard_webhooks",
    ...STANDARD_SECRET,
    body: json(`"type":"user.updated"`),
    ...standard(StandardWebhook),
    verify: { standardwebhooks: (r, secret) => Boolean(new StandardWebhook(secret).verify(text(r), plain(r))) },
    python: "standardwebhooks",
  },
  {
    name: "svix",
    ...STANDARD_SECRET,
    body: json(`"type":"user.updated"`),
    ...standard(SvixWebhook, "svix"),
    verify: { svix: (r, secret) => Boolean(new SvixWebhook(secret).verify(text(r), plain(r))) },
    python: "svix",
  },
  {
    name: "clerk",
    ...STANDARD_SECRET,
    body: json(`"type":"user.created","object":"event","data":{"id":"user_1"}`),
    ...standard(SvixWebhook, "svix"),
    verify: {
      "@clerk/backend": async (r, signingSecret) =>
        Boolean(
          await verifyWebhook(new Request(r.url, { method: r.method, headers: plainForFetch(r), body: r.body }), {
            signingSecret,
          }),
        ),
    },
  },
  {
    name: "resend",
    ...STANDARD_SECRET,
    body: json(`"type":"email.delivered","created_at":"2026-03-01T14:00:00.000Z"`),
    ...standard(SvixWebhook, "svix"),
    verify: {
      resend(r, webhookSecret) {
        const [id, timestamp, signature] = ["id", "timestamp", "signature"].map((name) => field(r, `svix-${name}`));
        return Boolean(
          resend.webhooks.verify({ payload: text(r), headers: { id, timestamp, signature }, webhookSecret }),
        );
      },
    },
  },
  {
    name: "openai",
    ...STANDARD_SECRET,
    body: json(`"id":"evt_1","type":"response.completed","object":"event"`),
    ...standard(StandardWebhook),
    verify: { openai: async (r, secret) => Boolean(await openai.webhooks.unwrap(text(r), plain(r), secret)) },
  },
  {
    name: "gitlab-signed",
    provider: "gitlab",
    ...STANDARD_SECRET,
    headers: [JSON_TYPE, ["X-Gitlab-Event", "Push Hook"], ["Idempotency-Key", () => randomUUID()]],
    body: json(`"object_kind":"push"`),
    ...standard(StandardWebhook),
    verify: { standardwebhooks: (r, secret) => Boolean(new StandardWebhook(secret).verify(text(r), plain(r))) },
  },
  {
    name: "bigcommerce",
    secret: "bc-client-secret",
    body: json(`"scope":"store/order/created","hash":"352e4afc6dd3fc85ea26bfdf3f91852604d57528"`),
    ...standard(StandardWebhook, "webhook", { format: "raw" }),
    verify: {
      standardwebhooks: (r, secret) =>
        Boolean(new StandardWebhook(secret, { format: "raw" }).verify(text(r), plain(r))),
    },
  },

  // HMAC that covers the URL
  {
    name: "square",
    secret: "sq-key",
    headers: [JSON_TYPE, ["square-environment", "Production"]],
    query: "?x=1",
    body: json(`"merchant_id":"M1","type":"payment.updated","event_id":"13b867cf-db3d-4b1c-90b6-2f32a9d78124"`),
    sign: (r, _, key) => [["x-square-hmacsha256-signature", hmac("sha256", key, "base64", r.url, r.body)]],
    signature: ["x-square-hmacsha256-signature"],
    resign: true,
    verify: {
      square: (r, signatureKey) =>
        WebhooksHelper.verifySignature({
          requestBody: text(r),
          signatureHeader: field(r, "x-square-hmacsha256-signature"),
          signatureKey,
          notificationUrl: r.url,
        }),
    },
  },
  {
    name: "hubspot",
    secret: "hs-secret",
    query: "?u=https%3A%2F%2Fx.example%2Fy&p=a%20b",
    body: json(`"eventId":1,"subscriptionType":"contact.creation"`).toString("utf8"),
    sign(r, at, key) {
      const parts = [r.method, hubspotUrl(r.url), r.body, String(at)];
      return [
        ["X-HubSpot-Request-Timestamp", String(at)],
        ["X-HubSpot-Signature-v3", hmac("sha256", key, "base64", ...parts)],
      ];
    },
    signature: ["x-hubspot-signature-v3"],
    time: inField("x-hubspot-request-timestamp", /^(\d+)$/, 1),
    relay_s: 300,
    app_s: 300,
    resign: true,
    verify: {
      "@hubspot/api-client": (r, clientSecret) =>
        hubspot.Signature.isValid({
          signatureVersion: "v3",
          method: r.method,
          // Left to the caller by this SDK.
          url: hubspotUrl(r.url),
          requestBody: text(r),
          timestamp: Number(field(r, "x-hubspot-request-timestamp")),
          signature: field(r, "x-hubspot-signature-v3"),
          clientSecret,
        }),
    },
  },
  {
    name: "twilio",
    secret: "12345",
    headers: [FORM_TYPE, ["I-Twilio-Idempotency-Token", () => randomUUID()]],
    query: "?foo=1&bar=2",
    body: formBody(TWILIO_FIELDS),
    sign: (r, _, key) => [["X-Twilio-Signature", twilioSigner.getExpectedTwilioSignature(key, r.url, form(r))]],
    signature: ["x-twilio-signature"],
    resign: true,
    verify: {
      twilio: (r, secret) => twilio.validateRequest(secret, field(r, "x-twilio-signature"), r.url, form(r)),
    },
    python: "twilio",
  },
  {
    name: "twilio-json",
    provider: "twilio",
    secret: "12345",
    headers: [JSON_TYPE, ["I-Twilio-Idempotency-Token", () => randomUUID()]],
    body: json(`"type":"com.twilio.voice"`),
    sign(r, _, key) {
      const url = `${r.url}?bodySHA256=${twilioSigner.getExpectedBodyHash(text(r))}`;
      return { url, headers: [["X-Twilio-Signature", twilioSigner.getExpectedTwilioSignature(key, url, {})]] };
    },
    signature: ["x-twilio-signature"],
    resign: true,
    verify: {
      twilio: (r, secret) => twilio.validateRequestWithBody(secret, field(r, "x-twilio-signature"), r.url, text(r)),
    },
    python: "twilio_json",
  },
  {
    name: "mandrill",
    secret: "mk",
    headers: [FORM_TYPE],
    body: formBody({ mandrill_events: `[{"event":"send","_id":"1","note":"amber Ærø"}]`, extra: "1" }),
    sign(r, _, key) {
      const pairs = [...new URLSearchParams(text(r))].sort(([a], [b]) => (a < b ? -1 : 1));
      return [["X-Mandrill-Signature", hmac("sha1", key, "base64", r.url, ...pairs.flat())]];
    },
    signature: ["x-mandrill-signature"],
    resign: true,
    python: "mandrill",
  },
  {
    name: "contentful",
    secret: "u_eQ6WxDuZ_2jsNwqkQZcWnVxkmy5EUHhW5eH2qXkYzXl6R6uFsEHYzX1V7XJm3P",
    wrong: "u_eQ6WxDuZ_2jsNwqkQZcWnVxkmy5EUHhW5eH2qXkYzXl6R6uFsEHYzX1V7XJm3Q",
    headers: [
      ["Content-Type", "application/vnd.contentful.management.v1+json"],
      ["X-Contentful-Topic", "ContentManagement.Entry.publish"],
    ],
    body: json(`"sys":{"type":"Entry","id":"1"}`),
    sign(r, at, key) {
      const canonical = { method: r.method, path: target(r.url), headers: plain(r), body: text(r) };
      return Object.entries(contentful.signRequest(key, canonical, at));
    },
    signature: ["x-contentful-signature"],
    time: inField("x-contentful-timestamp", /^(\d+)$/, 1),
    relay_s: 30,
    app_s: 30,
    resign: true,
    verify: {
      "@contentful/node-apps-toolkit": (r, secret) =>
        contentful.verifyRequest(secret, { method: r.method, path: target(r.url), headers: plain(r), body: text(r) }),
    },
  },

  // Signature inside the body
  {
    name: "adyen",
    secret: ADYEN_KEY,
    wrong: ADYEN_KEY.replace("44", "45"),
    body: compact({
      live: "false",
      notificationItems: ["7914073381342284", "7914073381342285"].map((pspReference) => ({
        NotificationRequestItem: {
          pspReference,
          originalReference: "",
          merchantAccountCode: "TestMerchant",
          merchantReference: "amber-1407325143704",
          amount: { value: 1130, currency: "EUR" },
          eventCode: "AUTHORISATION",
          success: "true",
          paymentMethod: "visa",
        },
      })),
    }),
    sign(r, _, key) {
      const told = JSON.parse(text(r));
      for (const { NotificationRequestItem: item } of told.notificationItems) {
        item.additionalData = { hmacSignature: adyen.calculateHmac(item, key) };
      }
      return { body: compact(told) };
    },
    verify: {
      "@adyen/api-library": (r, secret) =>
        JSON.parse(text(r)).notificationItems.every(({ NotificationRequestItem: item }) =>
          adyen.validateHMAC(item, secret),
        ),
    },
    python: "adyen",
  },
  {
    name: "braintree",
    secret: "integration_private_key",
    params: { public_key: "integration_public_key" },
    headers: [FORM_TYPE],
    body: Buffer.alloc(0),
    async sign(_, __, key) {
      const kind = braintree.WebhookNotification.Kind.SubscriptionWentPastDue;
      return { body: formBody(await gateway(key).webhookTesting.sampleNotification(kind, "amber")) };
    },
    // In the middle of the base64 text, which is what is signed.
    cover: (r) => ({
      ...r,
      body: Buffer.from(text(r).replace(/(bt_payload=.{40})(.)/, (_, a, b) => a + (b === "A" ? "B" : "A"))),
    }),
    verify: {
      async braintree(r, secret) {
        const { bt_signature, bt_payload } = form(r);
        return Boolean(await gateway(secret).webhookNotification.parse(bt_signature, bt_payload));
      },
    },
  },
  {
    name: "mailgun",
    secret: "mg-key",
    body: json(`"event-data":{"event":"delivered","id":"CPgfbmQMTCKtHW6uIWtuVe"}`),
    sign(r, at, key) {
      const [timestamp, token] = [seconds(at), hmac("sha256", "token", "hex", randomUUID()).slice(0, 45) + "amber"];
      const signature = { timestamp, token, signature: hmac("sha256", key, "hex", timestamp, token) };
      return { body: Buffer.from(text(r).replace("{", `{"signature":${JSON.stringify(signature)},`)) };
    },
    // The body is not covered; its first "amber" is the end of the token, which is.
    time: (r) => JSON.parse(text(r)).signature.timestamp * 1000,
    relay_s: 300,
    python: "mailgun",
  },

  // A secret word
  {
    name: "telegram",
    secret: "tg-amber_1",
    wrong: "tg-other_2",
    body: json(`"update_id":10000`),
    sign: (_, __, key) => [["X-Telegram-Bot-Api-Secret-Token", key]],
    signature: ["x-telegram-bot-api-secret-token"],
    cover: changeField("X-Telegram-Bot-Api-Secret-Token", "amber"),
    verify: {
      async grammy(r, secretToken) {
        const botInfo = { id: 1, is_bot: true, first_name: "nobody", username: "nobody_bot" };
        const handle = webhookCallback(new Bot("1:of_nobody", { botInfo }), "std/http", { secretToken });
        const answer = await handle(new Request(r.url, { method: r.method, headers: plainForFetch(r), body: r.body }));
        return answer.status === 200;
      },
    },
  },
  {
    name: "postmark",
    secret: "hook:p:amber",
    wrong: "hook:other",
    body: json(`"RecordType":"Delivery","MessageID":"883953f4-6105-42a2-a16a-77a8eac79483"`),
    sign: (_, __, key) => [["Authorization", `Basic ${Buffer.from(key).toString("base64")}`]],
    signature: ["authorization"],
    cover: (r) => withField(r, "Authorization", `Basic ${Buffer.from("hook:p:cmber").toString("base64")}`),
    python: "postmark",
  },

  // Public keys and JWTs
  {
    name: "discord",
    secret: raw(discordKeys.publicKey).subarray(-32).toString("hex"),
    key: discordKeys.privateKey,
    wrong: generateKeyPairSync("ed25519").privateKey,
    body: json(`"id":"1","application_id":"2","type":2,"token":"of-nobody","data":{"name":"hi"}`),
    sign({ body }, at, key) {
      const signature = signRaw(null, Buffer.concat([Buffer.from(seconds(at)), body]), key).toString("hex");
      return [
        ["X-Signature-Ed25519", signature],
        ["X-Signature-Timestamp", seconds(at)],
      ];
    },
    signature: ["x-signature-ed25519"],
    verify: {
      "discord-interactions": (r, secret) =>
        verifyKey(r.body, field(r, "x-signature-ed25519"), field(r, "x-signature-timestamp"), secret),
    },
    python: "discord",
  },
  {
    name: "sendgrid",
    secret: raw(sendgridKeys.publicKey).toString("base64"),
    key: sendgridKeys.privateKey,
    wrong: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    body: Buffer.from(`[{"email":"amber@example.com","event":"delivered","sg_event_id":"ZGVs"}]\r\n`),
    sign: ({ body }, at, key) => [
      ["X-Twilio-Email-Event-Webhook-Timestamp", seconds(at)],
      [
        "X-Twilio-Email-Event-Webhook-Signature",
        createSign("sha256").update(seconds(at)).update(body).sign(key, "base64"),
      ],
    ],
    signature: ["x-twilio-email-event-webhook-signature"],
    verify: {
      "@sendgrid/eventwebhook"(r, secret) {
        const [name, webhook] = ["x-twilio-email-event-webhook", new EventWebhook()];
        const key = webhook.convertPublicKeyToECDSA(secret);
        return webhook.verifySignature(key, r.body, field(r, `${name}-signature`), field(r, `${name}-timestamp`));
      },
    },
  },
  {
    name: "netlify",
    secret: "nfs",
    body: json(`"id":"1","state":"ready"`),
    sign: ({ body }, _, key) => [
      [
        "X-Webhook-Signature",
        jsonwebtoken.sign({ iss: "netlify", sha256: createHash("sha256").update(body).digest("hex") }, key, {
          noTimestamp: true,
        }),
      ],
    ],
    signature: ["x-webhook-signature"],
    verify: {
      // Netlify has no SDK; its documentation verifies with this library, and so.
      jsonwebtoken(r, secret) {
        const told = jsonwebtoken.verify(field(r, "x-webhook-signature"), secret, {
          issuer: "netlify",
          algorithms: ["HS256"],
        });
        return told.sha256 === createHash("sha256").update(r.body).digest("hex");
      },
    },
  },
  {
    name: "aws-sns",
    provider: "aws_sns",
    secret: "",
    get key() {
      return snsKeys().key;
    },
    get wrong() {
      return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    },
    keys: () => ({ [SNS_CERTIFICATE]: snsKeys().certificate }),
    headers: [
      ["Content-Type", "text/plain; charset=UTF-8"],
      ["x-amz-sns-message-type", "Notification"],
      ["x-amz-sns-message-id", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"],
      ["x-amz-sns-topic-arn", "arn:aws:sns:us-west-2:123456789012:MyTopic"],
    ],
    body: Buffer.alloc(0),
    sign(_, at, key) {
      const told = {
        Message: 'amber ÆØ\n{"a":1}',
        MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        Subject: "My First Message",
        Timestamp: new Date(at).toISOString(),
        TopicArn: "arn:aws:sns:us-west-2:123456789012:MyTopic",
        Type: "Notification",
      };
      const signed = Object.entries(told)
        .map(([name, value]) => `${name}\n${value}\n`)
        .join("");
      const Signature = createSign("sha256").update(signed).sign(key, "base64");
      return { body: compact({ ...told, SignatureVersion: "2", Signature, SigningCertURL: SNS_CERTIFICATE }) };
    },
    verify: {
      "sns-validator": (r) =>
        new Promise((resolve) => new SnsValidator().validate(text(r), (error) => resolve(!error))),
    },
  },
];

/** Header fields a Request of fetch takes: it makes those of the connection itself. */
function plainForFetch(request) {
  const { host, connection, "content-length": _, "transfer-encoding": __, ...others } = plain(request);
  return others;
}

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const version = (name) => JSON.parse(readFileSync(here(`node_modules/${name}/package.json`), "utf8")).version;

/** The packages in Python behind the names of sdk.py. */
const PYTHON_PACKAGES = {
  adyen: "Adyen",
  adyen_platform: "Adyen",
  airtable: "pyairtable",
  discord: "discord-interactions",
  github: "gidgethub",
  mailgun: "django-anymail",
  mandrill: "django-anymail",
  postmark: "django-anymail",
  slack: "slack_sdk",
  twilio_json: "twilio",
};

class Provider {
  constructor(entry) {
    Object.defineProperties(this, Object.getOwnPropertyDescriptors(entry));
    this.provider ??= this.name;
    this.params ??= {};
    this.verify ??= {};
    this.signature = (this.signature ?? []).map((name) => name.toLowerCase());
    this.resign ??= false;
  }

  /** Who judges, for people. */
  judges() {
    const node = Object.keys(this.verify).map((name) => `${name} ${version(name)}`);
    return this.python ? [...node, `${PYTHON_PACKAGES[this.python] ?? this.python} (py)`] : node;
  }

  /** An event as the provider sends it to `url`, signed at `at` (ms); `wrong` signs with a key nobody was given. */
  async signed(url, at = Date.now(), { wrong = false } = {}) {
    const key = wrong ? (this.wrong ?? `not ${this.secret}`) : (this.key ?? this.secret);
    const headers = (this.headers ?? [JSON_TYPE]).map(([name, value]) => [
      name,
      value instanceof Function ? value() : value,
    ]);
    const body = Buffer.from(this.body instanceof Function ? this.body(at) : this.body);
    const unsigned = { method: "POST", url: url + (this.query ?? ""), headers, body };
    const made = await this.sign(unsigned, at, key);
    if (!Array.isArray(made)) return { ...unsigned, ...made, headers: [...headers, ...(made.headers ?? [])] };
    const names = made.map(([name]) => name.toLowerCase());
    return { ...unsigned, headers: [...headers.filter(([name]) => !names.includes(name.toLowerCase())), ...made] };
  }

  /** `request` with one bit changed of what its signature covers. */
  tampered(request) {
    return this.cover instanceof Function
      ? this.cover(request)
      : { ...request, body: flipped(request.body, this.cover ?? "amber") };
  }

  /** Whether every SDK accepts it now: `{ accepted, by: { judge: bool }, why }`. */
  async judged(request) {
    const by = {};
    let why;
    for (const [name, accepts] of Object.entries(this.verify)) {
      try {
        by[name] = Boolean(await accepts(request, this.secret));
      } catch (error) {
        by[name] = false;
        why = `${name}: ${error.message}`;
      }
    }
    if (this.python) by[`py ${this.python}`] = await python.verify(this.python, request, this.secret);
    return { accepted: Object.values(by).every(Boolean), refused: !Object.values(by).some(Boolean), by, why };
  }

  /** The values of the header fields that hold the signature. */
  signatures(request) {
    return this.signature.map((name) => field(request, name));
  }
}

export const providers = entries.map((entry) => new Provider(entry));

/** Lets go of what judges hold open. */
export const close = () => python.close();
