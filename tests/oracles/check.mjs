// Promises as lines: `ok  PROMISE`, or `FAIL  PROMISE: what was found instead`; and waiting for states, with a bound.

/** No promise may take longer. */
const PROMISE_MS = 30_000;

let failed = 0;

/** How many promises did not hold so far. */
export const failures = () => failed;

/** One line about what could not be looked at, and why. */
export const skipped = (text) => console.log(`--  ${text}`);

/** Runs `check`, says in one line whether the promise holds, and gives whether it does. */
export async function promise(text, check) {
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error(`no end within ${PROMISE_MS} ms`)), PROMISE_MS);
  });
  try {
    await Promise.race([check(), late]);
    console.log(`ok  ${text}`);
    return true;
  } catch (error) {
    failed += 1;
    const why = [error.message, error.cause?.message].filter(Boolean).join(": ");
    console.log(`FAIL  ${text}: ${why.replace(/\s+/g, " ").slice(0, 600)}`);
    return false;
  } finally {
    clearTimeout(timer);
  }
}

export function holds(claim, found) {
  if (!claim) throw new Error(typeof found === "string" ? found : `found ${JSON.stringify(found)}`);
}

export const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** Waits until `look` gives something, and gives it. */
export async function until(what, look, ms = 15_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(20);
  }
}
