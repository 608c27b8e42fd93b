// Every view that is fetched later, in one file: whoever needs one soon needs another, and one request brings them all.

// Without this, what the page and the views share would be a third file that the first list has to wait for.
import "./app.js";

export { Agents } from "./views/agents.js";
export { Compare } from "./views/compare.js";
export { Deliveries } from "./views/deliveries.js";
export { EditReplay } from "./views/edit-replay.js";
export { EventPage } from "./views/event.js";
export { NoEvents } from "./views/first-steps.js";
export { hold, step } from "./views/hold.js";
export { KeysHelp } from "./views/keys-help.js";
export { Overview } from "./views/overview.js";
export { ReplayMany } from "./views/replay-many.js";
export { SearchHelp } from "./views/search-help.js";
export { SignIn } from "./views/sign-in.js";
export { Source } from "./views/source.js";
export { Sources } from "./views/sources.js";
export { Tokens } from "./views/tokens.js";
// Notices need no place on the page, and are watched for from the moment that their module is there.
import "./model/notices.js";
