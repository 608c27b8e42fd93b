// What each provider sends and how its own SDK signs and verifies it. One entry a provider; the path of the receiving
// app is its name. Nothing here computes a signature by itself.
//
// As a program (`node providers.mjs github BODY_FILE`) it prints the header lines that go with the body, for senders
// that are not written in JavaScript.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Webhooks } from "@octokit/webhooks";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const examples = "node_modules/@octokit/webhooks-examples/api.github.com/index.json";

/** Every example GitHub's users contributed, as `{ name, body }`. */
export const githubExamples = JSON.parse(readFileSync(here(examples))).flatMap(({ name, examples }) =>
  examples.map((example) => ({ name, body: Buffer.from(JSON.stringify(example)) })),
);

const octokit = new Webhooks({ secret: "It's a Secret to Everybody" });
const stripe = new Stripe("sk_test_of_nobody");
const stripeSecret = "whsec_of_nobody";
const standard = new Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

export const providers = {
  github: {
    event: githubExamples.find(({ name }) => name === "push").body,

    async sign(body, name = "push") {
      return {
        "User-Agent": "GitHub-Hookshot/044aadd",
        "Content-Type": "application/json",
        "X-GitHub-Delivery": randomUUID(),
        "X-GitHub-Event": name,
        "X-GitHub-Hook-ID": "292430182",
        "X-Hub-Signature-256": await octokit.sign(body.toString()),
      };
    },

    async verify(body, headers) {
      await octokit.verifyAndReceive({
        id: headers["x-github-delivery"],
        name: headers["x-github-event"],
        payload: body.toString(),
        signature: headers["x-hub-signature-256"],
      });
    },
  },

  stripe: {
    event: readFileSync(here("events/stripe.json")),

    async sign(body) {
      const signed = { payload: body.toString(), secret: stripeSecret };
      return {
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": stripe.webhooks.generateTestHeaderString(signed),
      };
    },

    async verify(body, headers) {
      stripe.webhooks.constructEvent(body, headers["stripe-signature"], stripeSecret);
    },
  },

  standard: {
    event: readFileSync(here("events/standard.json")),

    async sign(body) {
      const id = `msg_${randomUUID()}`;
      const now = new Date();
      return {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now / 1000)),
        "webhook-signature": standard.sign(id, now, body.toString()),
      };
    },

    async verify(body, headers) {
      standard.verify(body, headers);
    },
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, file] = process.argv.slice(2);
  const headers = await providers[name].sign(readFileSync(file));
  for (const [field, value] of Object.entries(headers)) console.log(`${field}: ${value}`);
}
