// Promises as lines: `ok  PROMISE`, or `FAIL PROMISE: what was found instead`; and waiting for states, with a bound.

/** No promise may take longer. */
const PROMISE_MS = 30_000;

const sum = { passed: 0, failed: 0 };
const parts = process.env.ONLY?.split(",");

/** The sum so far. */
export const tally = () => sum;

/** `ONLY=bodies,hold` runs those parts alone, for whoever works on one. */
export const isWanted = (part) => !parts || parts.includes(part);

/** Something measured, for people. */
export const note = (text) => console.log(`--  ${text}`);

/** Runs `check` and says whether the promise holds. */
export async function promise(text, check) {
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error(`no end within ${PROMISE_MS} ms`)), PROMISE_MS);
  });
  try {
    await Promise.race([check(), late]);
    sum.passed += 1;
    console.log(`ok  ${text}`);
  } catch (error) {
    sum.failed += 1;
    console.log(`FAIL ${text}: ${String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 500)}`);
    if (process.env.VERBOSE) console.log(error.stack);
  } finally {
    clearTimeout(timer);
  }
}

export function holds(claim, found = "it does not hold") {
  if (!claim) throw new Error(typeof found === "string" ? found : `found ${JSON.stringify(found)}`);
}

export function equal(found, wanted) {
  const [left, right] = [found, wanted].map((value) => JSON.stringify(value));
  if (left !== right) throw new Error(`found ${left?.slice(0, 200)}, not ${right?.slice(0, 200)}`);
}

export const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** Waits until `look` gives something, and gives it. */
export async function until(what, look, ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(30);
  }
}
